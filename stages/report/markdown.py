"""Write any text as Markdown, and numbers in the few forms that the report has."""

import json
import math
import re
from collections.abc import Iterable
from pathlib import Path

from stages.shared.text import without_secrets


def plain(text: str) -> str:
    """Write any text on one line of Markdown, so that it is shown as it is.

    It must not begin a line, where further characters have a meaning.
    """
    text = re.sub(r"[\x00-\x1f\x7f-\x9f]", "\N{REPLACEMENT CHARACTER}", " ".join(text.split()))
    return re.sub(r"[\\`*_\[<&~$|]|:(?=//)|(?<=www)\.", r"\\\g<0>", text)


def table(rows: list[dict[str, str]], left: int = 1) -> str:
    """Write rows as a table of Markdown; the keys of the first row are the header."""
    header = list(rows[0])
    return lines_of(header, [[row.get(key, "") for key in header] for row in rows], left)


def lines_of(header: list[str], rows: list[list[str]], left: int = 1) -> str:
    """Write a table of Markdown; all but the first `left` columns are aligned to the right."""
    rules = ["---" if column < left else "--:" for column in range(len(header))]
    return "\n".join(f"| {' | '.join(line)} |" for line in (header, rules, *rows))


def picture(name: str, description: str) -> str:
    return f"![{description}](figures/{name}.png)"


def share(value: float) -> str:
    """Write a share in percent."""
    return f"{100 * value:.1f} %"


def points(share: float) -> str:
    """Write a share in percentage points, with more digits where one would show zero."""
    is_small = 0 < abs(share) < 0.0005
    digits = -math.floor(math.log10(100 * abs(share))) if is_small else 1
    return f"{100 * share:.{digits}f}".replace("-", "\N{MINUS SIGN}")


def listed(parts: Iterable[str]) -> str:
    """Join clauses with commas, and the last one with "and"."""
    *parts, last = parts
    return f"{', '.join(parts)}, and {last}" if parts else last


def shown(key: str, value: object) -> str:
    """Write the value of a parameter; of a path, only what anybody may see."""
    if not isinstance(value, str):
        return json.dumps(value)
    return plain(place(value) if key.endswith(".path") else value)


def place(path: str) -> str:
    """Cut what is private: of a URL its secrets, of an absolute path the folders."""
    return Path(path).name if Path(path).is_absolute() else without_secrets(path)
