"""A BERT encoder, which turns texts into vectors: its forward pass in NumPy.

Devlin et al., "BERT: Pre-training of deep bidirectional transformers for language understanding",
NAACL 2019, 4171-4186. The vector of a text is made of those of its tokens as Reimers and Gurevych
do it, "Sentence-BERT: Sentence embeddings using Siamese BERT-networks", EMNLP 2019, 3982-3992.

An encoder is a folder as `download` lands it: encoder.json, tokenizer.json and model.safetensors.
"""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import numpy as np
from scipy.special import erf, expit
from threadpoolctl import threadpool_limits

from stages.shared.cores import cores
from stages.shared.errors import InputError
from stages.shared.files import reading

if TYPE_CHECKING:
    from tokenizers import Tokenizer

SETTINGS, TOKENIZER, WEIGHTS = "encoder.json", "tokenizer.json", "model.safetensors"
NEEDED = "needs tokenizers and safetensors: pip install -r requirements-encoder.txt"
BATCH = 2_048  # tokens, padding included: the widest layer of MiniLM makes 12 MB of them
TEXTS_AT_A_TIME = 1_000  # cut into tokens, which are then kept as numbers alone
Parsed = TypeVar("Parsed")


class Settings(NamedTuple):
    """What the weights don't tell of an encoder."""

    layers: int  # transformer layers; 0: the vectors are those of the embeddings
    heads: int
    epsilon: float  # of the layer norm
    activation: str  # a key of ACTIVATIONS
    max_length: int  # tokens of a text that are read, [CLS] and [SEP] included
    lowercase: bool  # before the tokenizer sees a text
    pooling: str  # mean, or cls: the vector of the first token
    normalize: bool  # to length 1


class Tokens(NamedTuple):
    """Some texts as an encoder reads them."""

    ids: list[np.ndarray]  # of each text, (n_tokens,) int32, [CLS] and [SEP] included
    n_known: np.ndarray  # of each text: tokens that are neither these nor unknown, (n_texts,) int


def gelu(x: np.ndarray) -> np.ndarray:
    """x Φ(x), in which Φ is the normal distribution's (Hendrycks and Gimpel, 2016)."""
    weight = erf(x * np.float32(0.5**0.5))
    weight += 1
    weight *= x
    weight *= np.float32(0.5)
    return weight


def gelu_by_tanh(x: np.ndarray) -> np.ndarray:
    """The same, with Φ approximated by a hyperbolic tangent."""
    # x * x * x: a power would depend on the processor in its last bit.
    return x * expit(np.float32((8 / np.pi) ** 0.5) * (x + np.float32(0.044715) * (x * x * x)))


ACTIVATIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "gelu": gelu,
    "gelu_new": gelu_by_tanh,
    "gelu_pytorch_tanh": gelu_by_tanh,
    "relu": lambda x: np.maximum(x, 0),
}


class Encoder:
    """An encoder that has been landed in a folder."""

    def __init__(self, folder: Path):
        """Read it; raises InputError if it can't be read, or what reads it is not installed."""
        check_packages()
        import safetensors.numpy

        with reading(folder):
            self.settings = Settings(**json.loads((folder / SETTINGS).read_text("utf-8")))
            self.tokenizer = read_tokenizer((folder / TOKENIZER).read_bytes())
            self.weights = parsed(safetensors.numpy.load, (folder / WEIGHTS).read_bytes())
        self.tokenizer.no_padding()
        self.tokenizer.enable_truncation(self.settings.max_length)

    @property
    def dim(self) -> int:
        return self.weights["embeddings.word_embeddings.weight"].shape[1]

    def tokens(self, texts: list[str]) -> Tokens:
        """Cut texts into tokens."""
        unknown = self.tokenizer.token_to_id(self.tokenizer.model.unk_token)
        ids, n_known = [], []
        for start in range(0, len(texts), TEXTS_AT_A_TIME):
            part = texts[start : start + TEXTS_AT_A_TIME]
            part = [text.lower() for text in part] if self.settings.lowercase else part
            for found in self.tokenizer.encode_batch(part):
                own = np.array(found.ids, np.int32)
                ids.append(own)
                special = np.array(found.special_tokens_mask, bool)
                n_known.append(np.count_nonzero(~special & (own != unknown)))
        return Tokens(ids, np.array(n_known, int))

    def vectors(self, ids: list[np.ndarray]) -> np.ndarray:
        """Turn the ids of texts into vectors, (n_texts, dim) float32.

        Texts of about one length make a batch. Which these are does not depend on the number of
        cores, and each product is computed on one, so that the bytes don't either.
        """
        vectors = np.zeros((len(ids), self.dim), np.float32)
        batches = cut(np.array([len(own) for own in ids], int))
        with threadpool_limits(1), ThreadPoolExecutor(cores()) as pool:
            found = pool.map(lambda rows: self.forward([ids[row] for row in rows]), batches)
            for rows, of_rows in zip(batches, found, strict=True):
                vectors[rows] = of_rows
        return vectors

    def forward(self, ids: list[np.ndarray]) -> np.ndarray:
        """Compute the vectors of one batch, (n_texts, dim) float32."""
        lengths = np.array([len(own) for own in ids])
        is_token = np.arange(lengths.max()) < lengths[:, None]
        padded = np.zeros(is_token.shape, np.int32)
        padded[is_token] = np.concatenate(ids)
        words, positions, types = (
            self.weights[f"embeddings.{name}_embeddings.weight"]
            for name in ("word", "position", "token_type")
        )
        x = words[padded] + positions[: lengths.max()] + types[0]
        x = self.norm(x, "embeddings")
        for layer in range(self.settings.layers):
            name = f"encoder.layer.{layer}"
            x = self.norm(x + self.attention(x, is_token, name), f"{name}.attention.output")
            inner = self.dense(x, f"{name}.intermediate")
            inner = ACTIVATIONS[self.settings.activation](inner)
            x = self.norm(x + self.dense(inner, f"{name}.output"), f"{name}.output")
        return self.pool(x, is_token)

    def attention(self, x: np.ndarray, is_token: np.ndarray, name: str) -> np.ndarray:
        """Let each token attend to those of its text; x (n_texts, n_tokens, dim) in and out."""
        n_texts, n_tokens, dim = x.shape
        width = dim // self.settings.heads
        query, key, value = (
            self.dense(x, f"{name}.attention.self.{part}", "")
            .reshape(n_texts, n_tokens, -1, width)
            .swapaxes(1, 2)
            for part in ("query", "key", "value")
        )
        weights = query @ key.swapaxes(2, 3)
        weights *= np.float32(width**-0.5)
        np.copyto(weights, -np.inf, where=~is_token[:, None, None, :])
        weights -= weights.max(axis=3, keepdims=True)
        np.exp(weights, out=weights)
        weights /= weights.sum(axis=3, keepdims=True)
        mixed = (weights @ value).swapaxes(1, 2).reshape(x.shape)
        return self.dense(mixed, f"{name}.attention.output")

    def dense(self, x: np.ndarray, name: str, layer: str = ".dense") -> np.ndarray:
        """Apply a dense layer to x (n_texts, n_tokens, any)."""
        kernel, bias = (self.weights[f"{name}{layer}.{part}"] for part in ("weight", "bias"))
        out = x.reshape(-1, x.shape[2]) @ kernel.T
        out += bias
        return out.reshape(*x.shape[:2], -1)

    def norm(self, x: np.ndarray, name: str) -> np.ndarray:
        """Bring each token's vector to mean 0 and variance 1, then to the scale learned; in place.

        Ba, Kiros and Hinton, "Layer normalization", 2016.
        """
        weight, bias = (self.weights[f"{name}.LayerNorm.{part}"] for part in ("weight", "bias"))
        x -= x.mean(axis=2, keepdims=True)
        variance = np.einsum("ijk,ijk->ij", x, x)[..., None] / np.float32(x.shape[2])
        x /= np.sqrt(variance + np.float32(self.settings.epsilon))
        x *= weight
        x += bias
        return x

    def pool(self, x: np.ndarray, is_token: np.ndarray) -> np.ndarray:
        """Make a text's vector of its tokens': x (n_texts, n_tokens, dim) -> (n_texts, dim)."""
        if self.settings.pooling == "cls":
            vectors = x[:, 0]
        else:
            real = is_token[..., None].astype(np.float32)
            vectors = (x * real).sum(axis=1) / real.sum(axis=1)
        if self.settings.normalize:
            lengths = np.sqrt((vectors**2).sum(axis=1, keepdims=True))
            vectors = vectors / np.maximum(lengths, np.float32(1e-12))  # as PyTorch does
        return vectors


def check_packages() -> None:
    """Raise InputError if what reads an encoder is not installed."""
    if not all(map(find_spec, ("tokenizers", "safetensors"))):
        raise InputError(f"an encoder {NEEDED}")


def read_tokenizer(content: bytes) -> "Tokenizer":
    """Read a tokenizer.json; raises ValueError for anything else."""
    from tokenizers import Tokenizer

    return parsed(Tokenizer.from_buffer, content)


def parsed(parse: Callable[[bytes], Parsed], content: bytes) -> Parsed:
    """Parse by a package written in Rust, whose errors have no class of their own: ValueError."""
    try:
        return parse(content)
    except Exception as error:
        raise ValueError(str(error)) from None


def cut(lengths: np.ndarray) -> list[np.ndarray]:
    """Cut texts of so many tokens, (n_texts,) int, into batches of about one length: their rows."""
    order = np.argsort(lengths, kind="stable")
    batches, start = [], 0
    for stop in range(1, len(order) + 1):  # the next text is the longest of its batch
        if stop == len(order) or (stop + 1 - start) * lengths[order[stop]] > BATCH:
            batches.append(order[start:stop])
            start = stop
    return batches
