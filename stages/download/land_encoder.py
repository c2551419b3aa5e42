"""Land an encoder, a BERT model as Hugging Face publishes it, in the form that later stages know.

A folder, or a zip of it, has config.json, model.safetensors and tokenizer.json. What
sentence-transformers adds is followed: modules.json, its pooling, sentence_bert_config.json.
"""

import json
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from stages.download.location import local_copy
from stages.download.packages import check_expansion
from stages.shared import artifacts, encoder
from stages.shared.errors import InputError
from stages.shared.files import reading_input, whole, write_json
from stages.shared.schema import VectorSource

CONFIG, MODULES = "config.json", "modules.json"
HOLDS = "an encoder is a folder, or a zip, of config.json, model.safetensors and tokenizer.json"
POOLINGS = {"mean": "mean", "mean_tokens": "mean", "cls": "cls", "cls_token": "cls"}
STEPS = ("Transformer", "Pooling", "Normalize")
OTHERS = ("pytorch_model.bin", "model.safetensors.index.json", "tf_model.h5", "model.onnx")
SIZES = (
    "hidden_size", "intermediate_size", "max_position_embeddings", "num_attention_heads",
    "num_hidden_layers", "vocab_size",
)  # fmt: skip
KINDS = {"F32": "<f4", "F16": "<f2", "BF16": "<u2"}  # of numbers in a file of weights

Folder = Path | zipfile.Path
Config = dict[str, Any]
Shapes = dict[str, tuple[int, ...]]


def land_encoder(name: str, source: VectorSource) -> None:
    """Write an encoder to a folder of its name: encoder.json, model.safetensors, tokenizer.json."""
    encoder.check_packages()
    from safetensors.numpy import save_file

    path = local_copy(f"vectors.{name}", source)
    assert path
    target = artifacts.vectors(name)
    with opened(path) as root, whole(target) as folder:
        folder.mkdir()
        model, config, settings = read_model(root, source.layer)
        with reading_part(model / CONFIG):
            shapes = shapes_of(config, settings.layers)
        dim = config["hidden_size"]
        if source.dim not in (None, dim):
            raise InputError(f"{path} has {dim} dimensions, but params.yaml asks for {source.dim}")
        save_file(read_weights(model, shapes), folder / encoder.WEIGHTS)
        (folder / encoder.TOKENIZER).write_bytes(read_tokenizer(model, config["vocab_size"]))
        write_json(folder / encoder.SETTINGS, settings._asdict())
    print(f"{target}: {settings.layers} layers, {dim} dimensions, {settings.max_length} tokens")


def n_layers_of(path: Path) -> int:
    """Say how many layers an encoder has above its embeddings.

    Raises InputError if it can't be landed, as far as that is seen without reading its weights.
    """
    with opened(path) as root:
        model, config, settings = read_model(root)
        weights_of(model)
        read_tokenizer(model, config["vocab_size"])
        return settings.layers


def read_model(root: Folder, layer: int | None = None) -> tuple[Folder, Config, encoder.Settings]:
    """Find the model in an encoder's folder, and read all that is told of it but weights."""
    modules = read_modules(root)
    model = root / modules.get("Transformer", "")
    config = read_config(model / CONFIG)
    with reading_part(model / CONFIG):
        return model, config, settings_of(root, model, modules, config, layer)


@contextmanager
def opened(path: Path) -> Iterator[Folder]:
    """Yield the folder that holds an encoder: the path, or one in a zip, also in a zip in it."""
    if path.is_dir():
        yield find_root(path, [file.relative_to(path).as_posix() for file in path.rglob("*.json")])
        return
    with reading_input(path):
        archive = zipfile.ZipFile(path)
    with archive:
        inner = [name for name in archive.namelist() if name.endswith(".zip")]
        if len(inner) == 1:  # a package may hold one
            with reading_input(path), zipfile.ZipFile(archive.open(inner[0])) as nested:
                yield find_root(path, nested.namelist(), nested)
        else:
            yield find_root(path, archive.namelist(), archive)


def find_root(path: Path, names: list[str], archive: zipfile.ZipFile | None = None) -> Folder:
    """Find where an encoder begins: at the uppermost modules.json or, without one, config.json."""
    if archive:
        check_expansion(path, sum(info.file_size for info in archive.infolist()))
    for wanted in (MODULES, CONFIG):
        found = [PurePosixPath(name) for name in names if PurePosixPath(name).name == wanted]
        if found:
            place = min(found, key=lambda name: len(name.parts)).parent
            inside = f"{place}/".removeprefix("./")  # what zipfile calls the root is empty
            return zipfile.Path(archive, inside) if archive else path / place
    raise InputError(f"{path} holds no {CONFIG}: {HOLDS}")


@contextmanager
def reading_part(file: Folder) -> Iterator[None]:
    """Turn the failure to read a file, or to make sense of it, into an InputError that names it."""
    with reading_input(Path(str(file))):
        try:
            yield
        except (AttributeError, TypeError) as error:
            raise ValueError(str(error)) from None


def read_config(file: Folder) -> Config:
    """Read config.json; raises InputError if a size in it is no whole number."""
    config = read_json(file)
    for size in SIZES:
        if not isinstance(value := config.get(size), int) or value < 1:
            raise InputError(f"{file}: {size} is {value}, but should be a whole number above 0")
    return config


def optional(file: Folder, kind: type = dict) -> Any:
    """Read a file of settings, which need not be there."""
    return read_json(file, kind) if file.exists() else kind()


def read_json(file: Folder, kind: type = dict) -> Any:
    """Read what is written as JSON, and should be of a kind."""
    with reading_part(file):
        content = json.loads(file.read_bytes())
        if not isinstance(content, kind):
            raise ValueError(f"it holds no {kind.__name__}")
    return content


def read_modules(root: Folder) -> dict[str, str]:
    """Name the steps from a text to its vector as sentence-transformers does, with their folders.

    Raises InputError for a step that is not done here.
    """
    modules = optional(root / MODULES, list)
    with reading_part(root / MODULES):
        found = {module["type"].rpartition(".")[2]: module["path"] for module in modules}
    if modules and [*found] not in (["Transformer", "Pooling"], [*STEPS]):
        raise InputError(
            f"{root / MODULES}: its steps are {', '.join(found)}, but should be Transformer,"
            " Pooling and, if at all, Normalize"
        )
    return found


def settings_of(
    root: Folder, model: Folder, modules: dict[str, str], config: Config, layer: int | None
) -> encoder.Settings:
    """Gather what the weights don't tell; raises InputError for what can't be computed here."""
    kind, n_layers = config.get("model_type"), config["num_hidden_layers"]
    activation = config.get("hidden_act", "gelu")
    positions = config.get("position_embedding_type") or "absolute"
    if kind != "bert" or positions != "absolute" or config.get("is_decoder"):
        what = "a decoder" if config.get("is_decoder") else f"{kind} with {positions} positions"
        raise InputError(f"{model / CONFIG}: the model is {what}, and only BERT is known here")
    if activation not in encoder.ACTIVATIONS:
        known = ", ".join(encoder.ACTIVATIONS)
        raise InputError(f"{model / CONFIG}: hidden_act is {activation}; known here: {known}")
    if config["hidden_size"] % config["num_attention_heads"]:
        raise InputError(
            f"{model / CONFIG}: hidden_size {config['hidden_size']} is no multiple of"
            f" num_attention_heads {config['num_attention_heads']}"
        )
    if layer is not None and layer > n_layers:
        raise InputError(f"layer is {layer}, but the encoder has {n_layers}")
    own = optional(model / "sentence_bert_config.json") or optional(
        root / "sentence_bert_config.json"
    )
    longest = optional(model / "tokenizer_config.json").get("model_max_length") or np.inf
    longest = own.get("max_seq_length") or longest
    return encoder.Settings(
        layers=n_layers if layer is None else layer,
        heads=config["num_attention_heads"],
        epsilon=float(config.get("layer_norm_eps", 1e-12)),
        activation=activation,
        max_length=int(min(longest, config["max_position_embeddings"])),
        lowercase=bool(own.get("do_lower_case")),
        pooling=pooling_of(root / modules.get("Pooling", "1_Pooling") / CONFIG),
        normalize="Normalize" in modules,
    )


def pooling_of(file: Folder) -> str:
    """Say how the vectors of tokens become one; raises InputError for a way not known here."""
    config = optional(file)
    prefix = "pooling_mode_"
    chosen = [key.removeprefix(prefix) for key in config if key.startswith(prefix) and config[key]]
    chosen = chosen or [config.get("pooling_mode", "mean")]
    if len(chosen) != 1 or chosen[0] not in POOLINGS:
        raise InputError(f"{file}: pooling is {', '.join(chosen)}; known here: mean or cls, one")
    return POOLINGS[chosen[0]]


def shapes_of(config: Config, layers: int) -> Shapes:
    """Say which tensors a BERT model of so many layers has, and in which shapes."""
    dim, inner = config["hidden_size"], config["intermediate_size"]
    shapes: Shapes = {
        "embeddings.word_embeddings.weight": (config["vocab_size"], dim),
        "embeddings.position_embeddings.weight": (config["max_position_embeddings"], dim),
        "embeddings.token_type_embeddings.weight": (config.get("type_vocab_size", 2), dim),
    }
    norms, dense = ["embeddings.LayerNorm"], dict[str, tuple[int, int]]()
    for layer in range(layers):
        name = f"encoder.layer.{layer}"
        norms += [f"{name}.attention.output.LayerNorm", f"{name}.output.LayerNorm"]
        for part in ("self.query", "self.key", "self.value", "output.dense"):
            dense[f"{name}.attention.{part}"] = dim, dim
        dense |= {f"{name}.intermediate.dense": (inner, dim), f"{name}.output.dense": (dim, inner)}
    shapes |= {f"{name}.{part}": (dim,) for name in norms for part in ("weight", "bias")}
    for name, shape in dense.items():
        shapes |= {f"{name}.weight": shape, f"{name}.bias": shape[:1]}
    return shapes


def read_weights(model: Folder, shapes: Shapes) -> dict[str, np.ndarray]:
    """Read tensors of these names and shapes as float32; raises InputError where one is otherwise.

    Their names may begin with `bert.`, and in old files a layer norm has a gamma and a beta.
    """
    from safetensors import deserialize

    file = weights_of(model)
    with reading_part(file):
        stored = encoder.parsed(deserialize, file.read_bytes())
    by_name = {
        name.removeprefix("bert.").replace(".gamma", ".weight").replace(".beta", ".bias"): tensor
        for name, tensor in stored
    }
    weights = {}
    for name, shape in shapes.items():
        if name not in by_name:
            raise InputError(f"{file}: {name} is missing, which config.json promises")
        kind, found = by_name[name]["dtype"], tuple(by_name[name]["shape"])
        if found != shape:
            raise InputError(f"{file}: {name} has shape {found}, and by config.json {shape}")
        if kind not in KINDS:
            raise InputError(f"{file}: {name} is {kind}, and not {', '.join(KINDS)}")
        values = np.frombuffer(by_name[name]["data"], KINDS[kind]).reshape(shape)
        if kind == "BF16":  # the upper half of a float32
            values = (values.astype(np.uint32) << 16).view(np.float32)
        weights[name] = values.astype(np.float32)
        if not np.isfinite(weights[name]).all():
            raise InputError(f"{file}: {name} holds a number that is not finite")
    return weights


def weights_of(model: Folder) -> Folder:
    """Find the file of weights; raises InputError if there is none."""
    file = model / encoder.WEIGHTS
    if not file.exists():
        other = next((name for name in OTHERS if (model / name).exists()), None)
        beside = f"{other} is there, but " if other else ""
        raise InputError(f"{model}: {beside}{encoder.WEIGHTS} is needed: {HOLDS}")
    return file


def read_tokenizer(model: Folder, vocab_size: int) -> bytes:
    """Read tokenizer.json; raises InputError if it is none, or gives ids that have no vector."""
    file = model / encoder.TOKENIZER
    with reading_part(file):
        content = file.read_bytes()
        tokenizer = encoder.read_tokenizer(content)
        if not hasattr(tokenizer.model, "unk_token"):
            raise ValueError("its model is not WordPiece, as BERT's is")
    largest = max(tokenizer.get_vocab(with_added_tokens=True).values())
    if largest >= vocab_size:
        raise InputError(f"{file}: id {largest} is beyond config.json's vocab_size of {vocab_size}")
    return content
