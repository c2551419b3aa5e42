"""Write docs/parameters.md from the schema of params.yaml: python -m docs.generate.

In:  the descriptions in stages/shared/schema.py, and the values in params.yaml.
"""

from collections.abc import Iterator
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from stages.shared import params
from stages.shared.schema import Params, Section

PAGE = Path(__file__).with_name("parameters.md")
INTRODUCTION = """# Parameters

This page answers: what can I set in `params.yaml`, and what does it mean?

`python -m docs.generate` writes this page from the schema, so edit
[stages/shared/schema.py](../stages/shared/schema.py) instead. A key that is unknown, or a value
that can't be, stops every stage with one line. For one run, set a parameter on the command line:
`dvc exp run -S train.samples=1000`.

Names in `<>` are yours to choose; there may be any number of them. The default shown is that of
the first.
"""


def leaves(section: type[Section], values: Any, prefix: str = "") -> Iterator[tuple]:
    """Yield the key, the field and the default of every parameter; values as params.yaml has."""
    for name, field in section.model_fields.items():
        key, kind = f"{prefix}{name}", field.annotation
        value: Any = getattr(values, name, None)
        if get_origin(kind) is dict:
            kind = get_args(kind)[1]
            key, value = f"{key}.<name>", next(iter(value.values()))
        if isinstance(kind, type) and issubclass(kind, Section):
            yield from leaves(kind, value, f"{key}.")
            continue
        yield key, field, value
        for part in get_args(kind):  # a section that may be null
            if isinstance(part, type) and issubclass(part, Section):
                yield from leaves(part, value, f"{key}.")


def values_of(kind: Any, metadata: list) -> str:
    """Say in a few words what values a type allows."""
    if get_origin(kind) is Annotated:
        return values_of(get_args(kind)[0], [*metadata, *kind.__metadata__])
    if get_origin(kind) in (Union, UnionType):
        return " or ".join(dict.fromkeys(values_of(part, metadata) for part in get_args(kind)))
    if get_origin(kind) is Literal:
        return ", ".join(f"`{default(value)}`" for value in get_args(kind))
    if get_origin(kind) is list:
        return f"list of {values_of(get_args(kind)[0], [])}"
    if isinstance(kind, type) and issubclass(kind, Section):
        return "the keys below"
    names = {
        type(None): "null",
        bool: "true or false",
        str: "text",
        int: "integer",
        float: "number",
    }
    return names[kind] + limits(metadata)


def limits(metadata: list) -> str:
    """Say between which numbers a value must be; huge limits say nothing."""
    found = {}
    for constraint in metadata:
        parts = constraint.metadata if isinstance(constraint, FieldInfo) else [constraint]
        for part in parts:
            for name in ("ge", "gt", "le", "lt"):
                if (limit := getattr(part, name, None)) is not None and abs(limit) < 2**31 - 1:
                    found[name] = limit
    words = {"ge": "from", "gt": "above", "le": "to", "lt": "below"}
    return "".join(f" {words[name]} {limit:,}" for name, limit in found.items())


def default(value: Any) -> str:
    """Write a value as params.yaml has it."""
    names = {None: "null", True: "true", False: "false"}
    return names[value] if value is None or isinstance(value, bool) else str(value) or '""'


def page() -> str:
    """Write the page, a section for each key of the first level."""
    sections: dict[str, list[str]] = {}
    for key, field, value in leaves(Params, params.load()):
        row = f"| `{key}` | `{default(value)}` | {values_of(field.annotation, field.metadata)} |"
        sections.setdefault(key.partition(".")[0], []).append(f"{row} {field.description} |")
    head = "| key | default | values | meaning |\n|---|---|---|---|"
    blocks = [f"## {name}\n\n{head}\n" + "\n".join(rows) for name, rows in sections.items()]
    return INTRODUCTION + "\n" + "\n\n".join(blocks) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
