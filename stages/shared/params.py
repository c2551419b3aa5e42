"""Read params.yaml, and say in one line what is wrong with it.

No output depends on what is here, so no stage lists it as a dependency: what a key may be is in
`stages.shared.schema`, and DVC itself follows the values.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_origin

import yaml
from pydantic import ValidationError

from stages.shared.artifacts import PARAMS
from stages.shared.errors import InputError
from stages.shared.evidence import REFERENCE
from stages.shared.schema import OFFICIAL, Loader, Params, Section, Source


def load(path: Path = PARAMS) -> Params:
    """Read and validate params.yaml; raises InputError: the key, its value and what is right."""
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader)
        if old := [*renamed(content)]:
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


def renamed(content: object) -> Iterator[str]:
    """Say what a file of an older version names otherwise: the old and the new key."""
    sections = content if isinstance(content, dict) else {}
    download, embed = (
        section if isinstance(section := sections.get(name), dict) else {}
        for name in ("download", "embed")
    )
    if "reviews" in download:
        yield "download.reviews is download.texts now"
    vectors = download.get("vectors")
    if isinstance(vectors, dict) and isinstance(vectors.get("source"), str):
        yield "what is below download.vectors goes below download.vectors.glove"
    if embed.get("glove") == {}:
        yield "embed.glove is {vectors: glove}"
    for name, start in (("domain", "{fitted: 50}"), ("adapted", "{vectors: glove, fitted: 50}")):
        if isinstance(of := embed.get(name), dict) and "dim" in of:
            yield f"embed.{name} is {start.replace('50', str(of['dim']))}"


def conflicts(settings: Params) -> Iterator[str]:
    """Say what values, each of which could be right, can't be beside each other."""
    download, embed = settings.download, settings.embed
    if not download.vectors:  # a stage that DVC could not run then says less
        yield "download.vectors has no entry: keep one, even if no word is looked up"
    sources: dict[str, Source] = {"texts": download.texts}
    sources |= {f"vectors.{name}": source for name, source in download.vectors.items()}
    for name, source in sources.items():
        is_packaged = source.source.endswith("-package")
        if is_packaged and source.path is not None:
            yield f"download.{name}: source {source.source} takes no path: set path to null"
        if not is_packaged and not source.path and source.source not in OFFICIAL:
            yield f"download.{name}: source {source.source} needs a path"
    for name, start in embed.items():
        if start.is_drawn == bool(start.vectors or start.fitted):
            yield (
                f"embed.{name} should be {{dim: 50}}, drawn at random, or {{vectors: …}} or"
                " {fitted: 50}, or the latter two together"
            )
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
    if settings.tokenize.num_bigrams and settings.model.head != "mean":
        yield (
            f"tokenize.num_bigrams is {settings.tokenize.num_bigrams}, but model.head"
            f" {settings.model.head} reads words in order: set the one to 0 or the other to mean"
        )


def describe(error: ValidationError) -> str:
    """Put the first violation of the schema in one line: key, value, and what is allowed."""
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"] if part != "[key]") or "the file"
    match first["type"]:
        case "missing":
            return f"{key} is missing"
        case "extra_forbidden":
            return f"{key} is not a parameter; known here: {', '.join(known_keys(first['loc']))}"
        case _:
            requirement = first["msg"].removeprefix("Input should ").removeprefix("String should ")
            return f"{key} is {first['input']!r}, but should {requirement}"


def known_keys(location: tuple[str | int, ...]) -> list[str]:
    """Name the keys that the schema has beside the one at `location`."""
    section: Any = Params  # a section, a dict of sections, or what is no section
    for part in location[:-1]:
        if get_origin(section) is dict:
            section = get_args(section)[1]
        else:
            section = section.model_fields[part].annotation
    return list(section.model_fields) if issubclass(section, Section) else []
