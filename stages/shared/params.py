"""The schema of params.yaml: every key, its type and its range."""

import re
from pathlib import Path
from typing import Annotated, Literal, get_args
from urllib.parse import urlsplit

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from stages.shared import artifacts
from stages.shared.artifacts import InputError

MOST = 2**31 - 1  # rows and indices are int32
PositiveInt = Annotated[int, Field(ge=1, le=MOST)]
Width = Annotated[int, Field(ge=1, le=100_000)]  # of a vector or a sequence
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")]
Character = Annotated[str, Field(min_length=1, max_length=1)]
Rate = Annotated[float, Field(gt=0, le=1000, allow_inf_nan=False, strict=False)]
# Where a source is published, and the SHA-256 of what lies there.
OFFICIAL = {
    "aclimdb": (
        "https://ai.stanford.edu/~amaas/data/sentiment/aclImdb_v1.tar.gz",
        "c40f74a18d3b61f90feba1e17730e0d38e8b97c05fde7008942e91923d1658fe",
    ),
    "keras-imdb": (
        "https://storage.googleapis.com/tensorflow/tf-keras-datasets/imdb.npz",
        "69664113be75683a8fe16e3ed0ab59fda8886cb3cd7ada244f7d9544e4676b9f",
    ),
    "glove-text": (
        "https://nlp.stanford.edu/data/glove.6B.zip",
        "617afb2fe6cbd085c235baf7a465b96f4112bd7f7ccb2b2cbd649fed9cbcf2fb",
    ),
}


class Loader(yaml.SafeLoader):
    """Reads YAML 1.2, as DVC does, where PyYAML reads 1.1: `no` and `on` are texts, 1e-3 a number.

    Of the core schema (YAML 1.2.2, 10.3.2) without numbers that begin with a zero.
    """

    yaml_implicit_resolvers = {}  # noqa: RUF012


for tag, pattern, first in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?(0|[1-9][0-9]*)", list("-+0123456789")),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+\.[0-9]*)([eE][-+]?[0-9]+)?", list("-+.0123456789")),
    (
        "float",
        r"[-+]?([0-9]+[eE][-+]?[0-9]+|\.(inf|Inf|INF))|\.(nan|NaN|NAN)",
        list("-+.0123456789"),
    ),
    ("merge", "<<", ["<"]),
):
    Loader.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(f"^(?:{pattern})$"), first)


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Source(Section):
    """`path` is a file, a folder or a URL; `sha256` is what its content must have."""

    path: str | None
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None

    @model_validator(mode="after")
    def path_goes_with_source(self):
        packaged = self.source.endswith("-package")
        if packaged and self.path is not None:
            raise ValueError(f"source {self.source} takes no path: set path to null")
        if not packaged and not self.path and self.source not in OFFICIAL:
            raise ValueError(f"source {self.source} needs a path")
        return self

    @property
    def location(self) -> str | None:
        """The path, or the URL at which the source is published."""
        return self.path or OFFICIAL.get(self.source, (None, None))[0]

    @property
    def name(self) -> str:
        """What to call the data: its file or folder, or the source where that has no path."""
        if not self.path:
            return self.source
        return Path(urlsplit(self.path).path if self.is_url else self.path).name or self.source

    @property
    def is_url(self) -> bool:
        return (self.location or "").lower().startswith(("http://", "https://"))

    @property
    def checksum(self) -> str | None:
        """The SHA-256 asked for, or the one known of what is published."""
        return self.sha256 or dict(OFFICIAL.values()).get(self.location)


class ReviewSource(Source):
    """`text`, `label`, `split` and `group` name columns; `positive` is the label that becomes 1.

    `separator`, `quote`, `escape` and `encoding` say how a table is written; None: found out.
    """

    source: Literal["imdb-package", "aclimdb", "keras-imdb", "table", "folder"]
    text: str
    label: str
    split: str | None
    group: str | None
    separator: Character | None
    quote: Character | Literal[""] | None
    escape: Character | Literal[""] | None
    encoding: str | None
    positive: str | bool | Annotated[float, Field(ge=-MOST, le=MOST)] | None
    duplicates: Literal["keep", "drop"]
    test_fraction: Annotated[float, Field(gt=0, lt=1)]
    split_seed: Annotated[int, Field(ge=0, le=MOST)]


class VectorSource(Source):
    source: Literal["glove-package", "glove-text", "word2vec", "fasttext"]
    dim: Width | None
    vocabulary_limit: PositiveInt | None


class Download(Section):
    reviews: ReviewSource
    vectors: VectorSource


class Tokenize(Section):
    num_words: Annotated[int, Field(ge=2, le=MOST)]
    num_bigrams: Annotated[int, Field(ge=0, le=MOST)]
    maxlen: Width


class RandomMatrix(Section):
    dim: Width


class GloveMatrix(Section):
    """Takes no parameter: vectors bring their own width."""


class DomainMatrix(Section):
    """`dim` columns are fitted to the train split's own text, labels unseen."""

    dim: Width


class Embed(Section):
    """`domain` and `adapted`, GloVe beside columns such as domain's, are made if they are there."""

    random: RandomMatrix
    glove: GloveMatrix
    domain: DomainMatrix | None = None
    adapted: DomainMatrix | None = None


class Model(Section):
    head: Literal["flatten", "mean", "conv"]
    hidden_units: Annotated[int, Field(ge=0, le=100_000)]


class Train(Section):
    samples: PositiveInt
    validation_samples: Annotated[int, Field(ge=0, le=MOST)]
    repeats: PositiveInt
    epochs: PositiveInt
    batch_size: PositiveInt
    optimizer: Literal["sgd", "rmsprop", "adam", "adamw", "adagrad", "adadelta", "adamax", "lion"]
    learning_rate: Rate
    schedule: Literal["constant", "linear"]
    word_dropout: Annotated[float, Field(ge=0, lt=1, strict=False)]


class Variant(Section):
    vectors: Literal["random", "glove", "domain", "adapted"]
    trainable: bool


class Params(Section):
    seed: Annotated[int, Field(ge=0, le=MOST)]
    download: Download
    tokenize: Tokenize
    embed: Embed
    model: Model
    train: Train
    variants: dict[Name, Variant]

    @model_validator(mode="after")
    def variants_can_be_compared(self):
        if "learned" not in self.variants:
            raise ValueError("variants has no learned, which the others are compared with")
        if "gap" in self.variants:
            raise ValueError("variants.gap would collide with the metric of that name")
        for name, variant in self.variants.items():
            if getattr(self.embed, variant.vectors) is None:
                raise ValueError(
                    f"variants.{name}.vectors is {variant.vectors}, but embed has no"
                    f" {variant.vectors}: add {{dim: 50}} under that name"
                )
        return self

    @model_validator(mode="after")
    def bigrams_are_averaged(self):
        if self.tokenize.num_bigrams and self.model.head != "mean":
            raise ValueError(
                f"tokenize.num_bigrams is {self.tokenize.num_bigrams}, but model.head"
                f" {self.model.head} reads words in order: set the one to 0 or the other to mean"
            )
        return self


def load(path: Path = artifacts.PARAMS) -> Params:
    """Read and validate params.yaml; raises InputError: the key, its value and what is right."""
    try:
        return Params.model_validate(yaml.load(path.read_text(encoding="utf-8"), Loader))
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from None
    except yaml.YAMLError as error:
        raise InputError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from None
    except ValidationError as error:
        raise InputError(f"{path}: {describe(error)}") from None


def describe(error: ValidationError) -> str:
    """Put the first violation of the schema in one line: key, value, and what is allowed."""
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"] if part != "[key]") or "the file"
    match first["type"]:
        case "missing":
            return f"{key} is missing"
        case "extra_forbidden":
            return f"{key} is not a parameter; known here: {', '.join(known_keys(first['loc']))}"
        case "value_error":
            return f"{key}: {first['ctx']['error']}"
        case _:
            requirement = first["msg"].removeprefix("Input should ").removeprefix("String should ")
            return f"{key} is {first['input']!r}, but should {requirement}"


def known_keys(location: tuple[str | int, ...]) -> list[str]:
    """Name the keys that the schema has beside the one at `location`."""
    section = Params
    for part in location[:-1]:
        section = Variant if section is Params and part == "variants" else section
        if part in section.model_fields:
            annotation = section.model_fields[part].annotation
            section = next(iter(get_args(annotation)), annotation)  # of a section that may be None
    return list(section.model_fields)
