"""A variant's trained models, with the vocabulary and the names that it takes to label texts."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import yaml

from stages.predict import models
from stages.shared import artifacts, params
from stages.shared.errors import InputError
from stages.shared.files import reading
from stages.shared.integrity import LOCK
from stages.shared.predictions import decide
from stages.shared.schema import Params, Tokenize
from stages.tokenize.encoding import Vocabulary, encode

if TYPE_CHECKING:
    from stages.shared.encoder import Encoder

TELLING = 3  # words for a label, and against it

# Texts (n_texts,) string -> what the models take of them, and how many words they know of each.
Reader = Callable[[pa.Array], tuple[np.ndarray, np.ndarray]]


class Labelled(NamedTuple):
    """What the models say of some texts."""

    labels: list[str]
    probabilities: np.ndarray  # (n_texts, n_labels) float32
    telling: list[list[list[str]]]  # words for the label of each text, and against it, if known
    n_known: np.ndarray  # words of each text that the models know, (n_texts,) int


class Labeller(NamedTuple):
    """The models, and what turns a text into what they read."""

    names: list[str]  # of the labels
    words: pa.Array  # of each id
    read: Reader
    score: models.Scorer

    def label(self, texts: list[str] | pa.Array) -> Labelled:
        """Label some texts, one at least."""
        inputs, n_known = self.read(pa.array(texts, pa.string()))
        scores, added = self.score(inputs)
        probabilities = models.mean_of(scores)
        labels = decide(probabilities)
        telling = [
            pa.ListArray.from_arrays(ends, self.words.take(pa.array(ids))).to_pylist()
            for ids, ends in (models.most_telling(added(labels), TELLING) if added else [])
        ]
        named = [self.names[label] for label in labels]
        return Labelled(named, probabilities, telling, n_known)


def read_sequences(
    vocabulary: Vocabulary, settings: Tokenize, texts: pa.Array
) -> tuple[np.ndarray, np.ndarray]:
    """Turn texts into sequences, and count in each the words that are known."""
    sequences = np.concatenate([block.ids for block in encode([texts], vocabulary, settings)])
    return sequences, (sequences > 0).sum(axis=1)


def read_vectors(encoder: "Encoder", texts: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """Turn texts into an encoder's vectors, and count in each the tokens that it knows."""
    tokens = encoder.tokens(texts.to_pylist())
    return encoder.vectors(tokens.ids), tokens.n_known


def load(variant: str | None = None, repeat: int | None = None) -> Labeller:
    """Read the models of a variant, all its repeats or one; None: the most accurate variant.

    Raises InputError if there are none, or if params.yaml has changed since they were trained.
    """
    settings = params.load()
    variant = variant or most_accurate()
    weights = weights_of(settings, variant, repeat)
    check_unchanged(settings, variant)
    vocabulary = read_vocabulary(settings.tokenize.num_words)
    words = names_of_ids(vocabulary, settings.tokenize.num_words)
    start = settings.embed[settings.variants[variant].vectors]
    read: Reader = partial(read_sequences, vocabulary, settings.tokenize)
    if start.texts == "encoder":
        from stages.shared.encoder import Encoder

        read = partial(read_vectors, Encoder(artifacts.vectors(str(start.vectors))))
    score = models.scorer(weights, settings.model.head)
    return Labeller(read_labels(), words, read, score)


def read_labels() -> list[str]:
    """Read the names of the labels, in order of their number."""
    with reading(artifacts.TEXTS):
        return json.loads(pq.read_schema(artifacts.TEXTS).metadata[b"labels"])


def most_accurate() -> str:
    """Name the variant that `evaluate` found the most accurate."""
    if not artifacts.EVALUATION.exists():
        raise InputError(f"{artifacts.EVALUATION} is not there to say what is best: name a variant")
    with reading(artifacts.EVALUATION):
        return json.loads(artifacts.EVALUATION.read_text("utf-8"))["best"]["variant"]


def weights_of(settings: Params, variant: str, repeat: int | None) -> list[Path]:
    """Name the files of the models; raises InputError for what was not trained."""
    if variant not in settings.variants:
        known = ", ".join(settings.variants)
        raise InputError(f"variant {variant!r} is not in params.yaml, which has {known}")
    repeats = range(settings.train.repeats)
    if repeat is not None and repeat not in repeats:
        raise InputError(f"repeat {repeat} was not trained: there are 0 to {repeats[-1]}")
    paths = [artifacts.weights(variant, r) for r in (repeats if repeat is None else [repeat])]
    for path in paths:
        if not path.exists():
            raise InputError(f"{path} is not there: dvc repro trains it, dvc pull fetches it")
    return paths


def check_unchanged(settings: Params, variant: str) -> None:
    """Raise InputError if params.yaml reads texts or builds models otherwise than dvc.lock says."""
    if not LOCK.exists():
        return
    with reading(LOCK):
        stages = yaml.load(LOCK.read_text("utf-8"), getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    own = settings.variants[variant]
    now = {"tokenize": settings.tokenize, "model": settings.model, f"variants.{variant}": own}
    now |= {f"embed.{own.vectors}": settings.embed[own.vectors]}
    for stage in ("tokenize", f"train@{variant}"):
        then = stages["stages"].get(stage, {}).get("params", {}).get(str(artifacts.PARAMS), {})
        for key, section in now.items():
            if key in then and then[key] != section.model_dump(exclude_unset=True):
                raise InputError(
                    f"params.yaml: {key} is not what the models were trained with: dvc repro trains"
                    " them anew, or put it back"
                )


def read_vocabulary(num_words: int) -> Vocabulary:
    """Read what `tokenize` wrote."""
    with reading(artifacts.VOCABULARY), reading(artifacts.BIGRAMS):
        table = pq.read_table(artifacts.VOCABULARY).combine_chunks()
        words, counts = (table[name].combine_chunks() for name in ("word", "count"))
        pairs = pq.read_table(artifacts.BIGRAMS).combine_chunks()
    first, second = (
        pc.index_in(pairs[name], value_set=words).to_numpy().astype(np.int64) + 1
        for name in ("first", "second")
    )
    return Vocabulary(words, counts, pa.array(first * num_words + second))


def names_of_ids(vocabulary: Vocabulary, num_words: int) -> pa.Array:
    """Name what each id stands for, (n_ids,) string; a pair's words are joined by `_`."""
    words = vocabulary.words[: num_words - 1]
    spare = pa.array([""] * (num_words - 1 - len(words)), words.type)
    first, second = np.divmod(vocabulary.pairs.to_numpy(), num_words)
    pairs = pc.binary_join_element_wise(words.take(first - 1), words.take(second - 1), "_")
    return pa.concat_arrays([pa.array([""], words.type), words, spare, pairs])
