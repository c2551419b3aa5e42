"""The schema of params.yaml: every key, its type, its range and what it means.

The rules about two keys together are in `stages.shared.params`, which reads the file.
"""

import re
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import yaml
from pydantic import BaseModel, ConfigDict, Field
from yaml.composer import ComposerError

MOST = 2**31 - 1  # rows and indices are int32
PositiveInt = Annotated[int, Field(ge=1, le=MOST)]
Count = Annotated[int, Field(ge=0, le=MOST)]  # may be 0
Width = Annotated[int, Field(ge=1, le=100_000)]  # of a vector or a sequence
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")]
Character = Annotated[str, Field(min_length=1, max_length=1)]
Rate = Annotated[float, Field(gt=0, le=1000, allow_inf_nan=False, strict=False)]
Share = Annotated[float, Field(ge=0, lt=1, strict=False)]
# Where a source is published, and the SHA-256 of what lies there.
ACLIMDB = (
    "https://ai.stanford.edu/~amaas/data/sentiment/aclImdb_v1.tar.gz",
    "c40f74a18d3b61f90feba1e17730e0d38e8b97c05fde7008942e91923d1658fe",
)
OFFICIAL = {
    "aclimdb": ACLIMDB,
    "aclimdb-stars": ACLIMDB,
    "keras-imdb": (
        "https://storage.googleapis.com/tensorflow/tf-keras-datasets/imdb.npz",
        "69664113be75683a8fe16e3ed0ab59fda8886cb3cd7ada244f7d9544e4676b9f",
    ),
    "glove-text": (
        "https://nlp.stanford.edu/data/glove.6B.zip",
        "617afb2fe6cbd085c235baf7a465b96f4112bd7f7ccb2b2cbd649fed9cbcf2fb",
    ),
}
MERGE = "tag:yaml.org,2002:merge"  # of the key <<


class Loader(yaml.SafeLoader):
    """Reads YAML 1.2, as DVC does, where PyYAML reads 1.1: `no` and `on` are texts, 1e-3 a number.

    It follows the core schema (YAML 1.2.2, 10.3.2), but a number that begins with 0 is a text. A
    key that is there twice raises ComposerError, where PyYAML takes the last.
    """

    yaml_implicit_resolvers = {}  # noqa: RUF012

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        """Compose a mapping of keys that are distinct before anything is merged into it."""
        node, seen = super().compose_mapping_node(anchor), set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag == MERGE:
                continue
            if (key.tag, key.value) in seen:
                said = f"the key {key.value} is there a second time"
                raise ComposerError(None, None, said, key.start_mark)
            seen.add((key.tag, key.value))
        return node


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
    """Where data come from; `source` says in which form they are."""

    path: str | None = Field(
        description="file, folder or URL; null: what the package carries, or where the source is"
        " published"
    )
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = Field(
        description="what the file must have; null: of a URL, what its first download had"
    )
    source: str  # each kind of source says which it may be

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
        return self.sha256 or dict(OFFICIAL.values()).get(self.location or "")


class TextSource(Source):
    source: Literal["imdb-package", "aclimdb", "aclimdb-stars", "keras-imdb", "table", "folder"] = (
        Field(
            description="where the labelled texts come from; `aclimdb-stars`: aclimdb by its eight"
            " ratings"
        )
    )
    text: str = Field(description="of a table: the column of the text")
    label: str = Field(description="of a table: the column of the label")
    split: str | None = Field(
        description="column that says train or test; null: `test_fraction` is held out"
    )
    group: str | None = Field(description="column: texts of one group stay on one side")
    separator: Character | None = Field(
        description="between the fields of a table; null, here and below: found out from the file"
    )
    quote: Character | Literal[""] | None = Field(
        description="mark around a field; an empty text: none"
    )
    escape: Character | Literal[""] | None = Field(
        description="mark before a mark; an empty text: none, a mark in a field is doubled"
    )
    encoding: str | None = Field(description="of the file, such as cp1252")
    positive: str | bool | Annotated[float, Field(ge=-MOST, le=MOST)] | None = Field(
        description="of two labels, the one that becomes 1; null: the larger"
    )
    duplicates: Literal["keep", "drop"] = Field(
        description="of texts that are equal but for case and white space: `keep` all, or `drop`"
        " all but one, and all of a text that has several labels"
    )
    test_fraction: Annotated[float, Field(gt=0, lt=1)] = Field(
        description="share of the texts that is held out to test on"
    )
    split_seed: Count = Field(description="draws what is held out, whatever `seed` is")


class VectorSource(Source):
    path: str | None = Field(
        description="file or URL; null: what the package carries, or where the source is published."
        " An encoder may also lie there unpacked"
    )
    source: Literal["glove-package", "glove-text", "word2vec", "fasttext", "encoder"] = Field(
        description="in which format the vectors are; `encoder`: a BERT model that makes them"
    )
    dim: Width | None = Field(
        description="number of dimensions: chooses among the members of a zip, or makes sure"
    )
    vocabulary_limit: PositiveInt | None = Field(description="keep the first so many words")
    layer: Count | None = Field(
        None,
        description="of an encoder: the layer that the vectors come from. 0: its embeddings; null:"
        " the last",
    )

    @property
    def is_encoder(self) -> bool:
        return self.source == "encoder"


class Download(Section):
    texts: TextSource
    vectors: dict[Name, VectorSource]


class Tokenize(Section):
    method: Literal["keras", "unicode"] = Field(
        description="what a word is. `keras`: what stands between blanks and marks, as Keras'"
        " Tokenizer has it; `unicode`: by Unicode's word boundaries and dictionaries, for any"
        " language"
    )
    lowercase: Literal[True, False, "turkish"] = Field(
        description="whether texts are lower-cased; `turkish`: likewise, but `I` becomes `ı`, and"
        " `İ` becomes `i`"
    )
    num_words: Annotated[int, Field(ge=2, le=MOST)] = Field(
        description="the `num_words - 1` most frequent words of the train split are kept"
    )
    num_bigrams: Count = Field(
        description="so many pairs of adjacent words, the most frequent, are read as tokens too;"
        " with head `mean` only"
    )
    maxlen: Width = Field(
        description="the last `maxlen` kept words of a text are read; shorter texts are padded on"
        " the left"
    )


class Start(Section):
    """What a variant can start from: drawn at random, looked up, fitted, both, or whole texts."""

    dim: Width | None = Field(
        None, description="width of a matrix that is drawn at random, anew in each repeat"
    )
    vectors: Name | None = Field(
        None,
        description="key of `download.vectors`: the words are looked up there; of an encoder, each"
        " word gets the vector that it has alone",
    )
    fitted: Width | None = Field(
        None,
        description="so many columns are fitted to the text of the train split, labels unseen;"
        " with `vectors` or `texts`, beside them",
    )
    weighting: Literal["plain", "rare", "both"] = Field(
        "plain",
        description="with `fitted`: what a token of a text counts. `plain`: TF-IDF; `rare`: once,"
        " by the square of its inverse document frequency; `both`: so many columns of each;"
        " with `train.tune` each repeat may let one kind start at zero, which leaves it out where"
        " the vectors are frozen",
    )
    match: Literal["exact", "folded"] = Field(
        "exact",
        description="with `vectors`: how a word is looked up there. `exact`: letter for letter;"
        " `folded`: a word that is not there, as its lower case, as letters of another width or"
        " form, with another apostrophe, or as the parts of a contraction",
    )
    shuffled: bool = Field(
        False,
        description="with `vectors`: gives the words each other's vectors, a control that has their"
        " scale and not their meaning",
    )
    centred: bool = Field(
        False,
        description="with `vectors`: the mean over all tokens of the train split is subtracted, and"
        " the rest scaled so that the means of texts have a mean square length of 1. Without it the"
        " head `mean` learns slowly from frozen vectors. With `fitted` it is always done",
    )
    texts: Literal["tf-idf", "naive-bayes", "encoder"] | None = Field(
        None,
        description="a vector for each text instead of each word, of which a logistic regression"
        " is trained: `tf-idf`; `naive-bayes`: the same, each word weighted by how surely it speaks"
        " for a label in the draw. With `fitted`, those columns beside it. `encoder`: what the"
        " encoder that `vectors` names makes of the text",
    )

    @property
    def lookup(self) -> str | None:
        """Name the file in which words are looked up, and how, if not exactly."""
        if self.texts:
            return None
        return f"{self.vectors} ({self.match})" if self.match != "exact" else self.vectors

    @property
    def is_drawn(self) -> bool:
        return self.dim is not None

    @property
    def is_pretrained(self) -> bool:
        """Whether its vectors say something of the words before a label is seen."""
        if self.texts:
            return self.texts == "encoder"
        return bool(self.fitted or (self.vectors and not self.shuffled))


class Model(Section):
    head: Literal["flatten", "mean", "conv"] = Field(
        description="`flatten`; `mean` of the embeddings of the words; `conv`: 64 filters of width"
        " 5 and their maximum"
    )
    hidden_units: Annotated[int, Field(ge=0, le=100_000)] = Field(
        description="width of the dense layer after the head, with ReLU; 0: none"
    )


class Tune(Section):
    """What each repeat of each variant may choose among, by held-out parts of its own samples."""

    learning_rates: list[Rate] = Field(min_length=1, description="what all variants try")
    folds: Annotated[int, Field(ge=2, le=100)] = Field(
        description="parts of the samples, each held out once; from 2,000 samples on one fifth is"
        " held out once"
    )


class Train(Section):
    samples: PositiveInt = Field(
        description="labelled texts to train on, drawn from the train split"
    )
    draw: Literal["stratified", "balanced"] = Field(
        description="`stratified`: the labels in the proportions of the train split; `balanced`: as"
        " many of each as there are"
    )
    validation_samples: Count = Field(
        description="texts to validate on, drawn from the rest of it, as far as it goes; may be 0"
    )
    repeats: PositiveInt = Field(description="number of draws, and trainings, of each variant")
    epochs: PositiveInt = Field(description="passes over the samples; with `tune`, at most")
    batch_size: PositiveInt = Field(description="samples between two updates of the weights")
    optimizer: Literal[
        "sgd", "rmsprop", "adam", "adamw", "adagrad", "adadelta", "adamax", "lion"
    ] = Field(description="Keras' own, with its defaults but for the learning rate")
    learning_rate: Rate = Field(description="of the first epoch")
    schedule: Literal["constant", "linear"] = Field(
        description="`linear`: the learning rate falls from epoch to epoch, towards 0"
    )
    word_dropout: Share = Field(
        description="share of the words that is left out, anew in each epoch"
    )
    tune: Tune | None = Field(
        description="null: every variant is trained at `learning_rate`, for all `epochs`; else each"
        " repeat chooses these two, or its penalty, within its own samples; of fitted columns with"
        " `weighting: both` the kinds too"
    )


class Variant(Section):
    vectors: Name = Field(description="key of `embed`: what it starts from")
    trainable: bool = Field(description="whether training moves the embedding")


class Params(Section):
    seed: Count = Field(
        description="decides, with the number of a repeat, all that is drawn in it; two seeds share"
        " nothing"
    )
    download: Download
    tokenize: Tokenize
    embed: dict[Name, Start]
    model: Model
    train: Train
    variants: dict[Name, Variant]
