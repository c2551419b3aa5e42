"""Read params.yaml, and say in one line what is wrong with it.

No output depends on what is here, so no stage lists it as a dependency: what a key may be is in
`stages.shared.schema`, and DVC itself follows the values.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_origin

import yaml
from pydantic import ValidationError

from stages.shared.artifacts import PARAMS
from stages.shared.errors import InputError
from stages.shared.evidence import REFERENCE
from stages.shared.schema import OFFICIAL, Loader, Params, Section, Source

# Which sources read a key of download.texts. By those that say how a table is written, `predict`
# reads a user's own table too, so they do something with every source.
READ_BY = {
    "sha256": ("table", "aclimdb", "aclimdb-stars", "keras-imdb"),
    "split": ("table",),
    "group": ("table",),
    "positive": ("table", "folder"),
    "test_fraction": ("table", "folder"),
    "split_seed": ("table", "folder"),
}
UNUSED = {"test_fraction": 0.2, "split_seed": 0}  # as in the project's params.yaml; of others null
PACKAGED_DIM = 50  # of glove-package


def load(path: Path = PARAMS) -> Params:
    """Read and validate params.yaml; raises InputError: the key, its value and what is right."""
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader)
        if old := renamed(content):
            raise InputError(f"{path} is that of an older version: {'; '.join(old)}")
        settings = Params.model_validate(content)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from None
    except yaml.YAMLError as error:
        raise InputError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from None
    except ValidationError as error:
        raise InputError(f"{path}: {describe(error)}") from None
    for problem in conflicts(settings):
        raise InputError(f"{path}: {problem}")
    return settings


def renamed(content: object) -> list[str]:
    """Say what a file of an older version names otherwise: the old and the new key."""
    found = []
    sections = content if isinstance(content, dict) else {}
    download, embed = (
        section if isinstance(section := sections.get(name), dict) else {}
        for name in ("download", "embed")
    )
    if "reviews" in download:
        found.append("download.reviews is download.texts now")
    vectors = download.get("vectors")
    if isinstance(vectors, dict) and isinstance(vectors.get("source"), str):
        found.append("what is below download.vectors goes below download.vectors.glove")
    if embed.get("glove") == {}:
        found.append("embed.glove is {vectors: glove}")
    # Nothing but the rest of the file tells the old {dim: 50} here from a start drawn at random.
    old = {"domain": "{fitted: 50}", "adapted": "{vectors: glove, fitted: 50}"} if found else {}
    for name, start in old.items():
        if isinstance(of := embed.get(name), dict) and "dim" in of:
            found.append(f"embed.{name} is {start.replace('50', str(of['dim']))}")
    return found


def conflicts(settings: Params) -> Iterator[str]:
    """Say which values, each right by itself, do not go together."""
    download, embed = settings.download, settings.embed
    if not download.vectors:  # without one, DVC's own message is less clear
        yield "download.vectors has no entry: keep one, even if no word is looked up"
    sources: dict[str, Source] = {"texts": download.texts}
    sources |= {f"vectors.{name}": source for name, source in download.vectors.items()}
    for name, source in sources.items():
        is_packaged = source.source.endswith("-package")
        if is_packaged and source.path is not None:
            yield f"download.{name}: source {source.source} takes no path: set path to null"
        if not is_packaged and not source.path and source.source not in OFFICIAL:
            yield f"download.{name}: source {source.source} needs a path"
    yield from unread(settings)
    yield from conflicts_of_encoders(settings)
    for name, start in embed.items():
        if start.texts == "encoder":
            continue
        kinds = start.is_drawn, bool(start.vectors), start.texts is not None
        if sum(kinds) > 1 or (start.is_drawn if start.fitted else not sum(kinds)):
            yield (
                f"embed.{name} should be {{dim: 50}}, drawn at random, or {{vectors: …}} or"
                " {texts: tf-idf}, or {fitted: 50} alone or with one of the latter two"
            )
        if start.shuffled and not start.vectors:
            yield f"embed.{name}.shuffled is of vectors, and there are none: leave it out"
        if start.centred and not start.vectors:
            yield f"embed.{name}.centred is of vectors, and there are none: leave it out"
        if start.match != "exact" and not start.vectors:
            yield f"embed.{name}.match is of vectors, and there are none: leave it out"
        if start.weighting != "plain" and not start.fitted:
            yield f"embed.{name}.weighting is of fitted columns, and there are none: leave it out"
        if start.vectors and start.vectors not in download.vectors:
            yield (
                f"embed.{name}.vectors is {start.vectors}, but download.vectors has only"
                f" {', '.join(download.vectors) or 'nothing'}"
            )
    if REFERENCE not in settings.variants:
        yield f"variants has no {REFERENCE}, which the others are compared with"
    for name in {"best", "gap", "majority"} & {*settings.variants}:
        yield f"variants.{name} would collide with the metric of that name"
    for name, variant in settings.variants.items():
        if variant.vectors not in embed:
            yield (
                f"variants.{name}.vectors is {variant.vectors}, but embed has only"
                f" {', '.join(embed) or 'nothing'}"
            )
        elif embed[variant.vectors].texts and name == REFERENCE:
            yield f"variants.{name} must have an embedding: {variant.vectors} has a vector a text"
        elif embed[variant.vectors].texts and variant.trainable:
            yield (
                f"variants.{name}.trainable is true, but nothing below a regression on texts can be"
                " trained: set it to false"
            )
    tune, samples = settings.train.tune, settings.train.samples
    if tune and tune.folds > samples:
        yield f"train.tune.folds is {tune.folds}, but train.samples only {samples}: set fewer folds"
    if settings.tokenize.num_bigrams and settings.model.head != "mean":
        yield (
            f"tokenize.num_bigrams is {settings.tokenize.num_bigrams}, but model.head"
            f" {settings.model.head} reads words in order: set the one to 0 or the other to mean"
        )


def unread(settings: Params) -> Iterator[str]:
    """Say which values a source would leave unread."""
    texts = settings.download.texts
    for key, sources in READ_BY.items():
        unused = UNUSED.get(key)
        if texts.source not in sources and getattr(texts, key) != unused:
            yield (
                f"download.texts.{key} is for source {' or '.join(sources)}, not {texts.source}:"
                f" set it to {'null' if unused is None else unused}"
            )
    for name, of in settings.download.vectors.items():
        if of.source != "glove-package":
            continue
        if of.sha256 is not None:
            yield f"download.vectors.{name}.sha256 is for a file, not {of.source}: set it to null"
        if of.dim not in (None, PACKAGED_DIM):
            yield (
                f"download.vectors.{name}.dim is {of.dim}, but {of.source} has {PACKAGED_DIM}: set"
                " dim to null, or source to glove-text"
            )


def conflicts_of_encoders(settings: Params) -> Iterator[str]:
    """Say the same of what has to do with an encoder."""
    vectors = settings.download.vectors
    encoders = [name for name, of in vectors.items() if of.is_encoder]
    for name, of in vectors.items():
        if of.layer is not None and name not in encoders:
            yield f"download.vectors.{name}.layer is of an encoder, and this is none: leave it out"
        if of.vocabulary_limit and name in encoders:
            yield (
                f"download.vectors.{name}.vocabulary_limit is {of.vocabulary_limit}, but an encoder"
                " has no list of words: set it to null"
            )
    for name, start in settings.embed.items():
        if start.match != "exact" and start.vectors in encoders:
            yield f"embed.{name}.match is of a file, but {start.vectors} an encoder: leave it out"
        if start.texts != "encoder":
            continue
        if start.vectors not in encoders:
            yield (
                f"embed.{name}.vectors is {start.vectors}, but should name an encoder of"
                f" download.vectors, which has {', '.join(encoders) or 'none'}"
            )
        if start.model_dump(exclude_defaults=True).keys() - {"texts", "vectors"}:
            yield f"embed.{name} should be {{texts: encoder, vectors: {start.vectors}}} alone"


def describe(error: ValidationError) -> str:
    """Put the first violation of the schema in one line: key, value, and what is allowed."""
    first = error.errors()[0]
    keys, kind = follow(first["loc"])
    key, value = ".".join(keys) or "the file", first["input"]
    match first["type"]:
        case "missing":
            return f"{key} is missing"
        case "extra_forbidden":
            unknown = ".".join(map(str, first["loc"]))
            return f"{unknown} is not a parameter; known here: {', '.join(kind.model_fields)}"
        case "model_type":
            known = ", ".join(kind.model_fields)
            return f"{key} is {value!r}, but should have keys below it; known there: {known}"
        case "dict_type":
            return f"{key} is {value!r}, but should have names of your own below it"
        case _:
            requirement = first["msg"].removeprefix("Input should ").removeprefix("String should ")
            return f"{key} is {value!r}, but should {requirement}"


def follow(location: Sequence[str | int]) -> tuple[list[str], Any]:
    """Follow a location in params.yaml as far as the schema knows it: the keys, and what is there.

    That is a section, a dict of sections, or the type of a value.
    """
    keys: list[str] = []
    kind: Any = Params
    for part in location:
        if get_origin(kind) is dict:
            kind = get_args(kind)[1]
        elif is_section(kind) and part in kind.model_fields:
            kind = kind.model_fields[str(part)].annotation
        else:
            break
        keys.append(str(part))
        if get_origin(kind) is UnionType:
            kind = next(filter(is_section, get_args(kind)), kind)  # one that may be null
    return keys, kind


def is_section(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, Section)
