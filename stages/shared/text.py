"""Small pieces of text: counts, lines that are short enough, addresses without their secrets."""

import re
from collections.abc import Iterable
from itertools import chain, count

LONGEST_MESSAGE = 290  # characters of an error, "error: " not counted
USER = re.compile(r"(:/{1,2})[^/?#\s]*@")  # of a URL, also of one that lost a slash as a path
URL = re.compile(r"(\w+:/{1,2}[^?#\s]*)(\?[^#\s]*)?(?:#\S*)?")
RETRIED = re.compile(r"(url: [^?\s]*)(\?\S*)")  # of urllib3, which leaves the host out


def count_of(n: int, what: str) -> str:
    """Write a number and what it counts, in the plural but for one."""
    return f"{n:,} {what}{'' if n == 1 else 's'}"


def distinct(names: Iterable[str]) -> list[str]:
    """Number names that others are equal to, as two long ones may be that were shortened."""
    given: list[str] = []
    for name in names:
        numbered = (f"{name} ({i})" for i in count(2))
        given.append(next(one for one in chain([name], numbered) if one not in given))
    return given


def shortened(text: str, most: int = LONGEST_MESSAGE) -> str:
    """Put a text on one line, and leave out its middle if it is longer than `most` characters."""
    text = " ".join(text.split())
    if len(text) <= most:
        return text
    return f"{text[: most // 2 - 2]} … {text[len(text) + 1 - most // 2 :]}"


def without_secrets(text: str) -> str:
    """Hide the user, the password and each value of the query of every URL; drop its fragment."""

    def hidden(found: re.Match) -> str:
        place, query = found[1], (found[2] or "").removeprefix("?")
        fields = (field.partition("=") for field in query.split("&")) if query else ()
        values = "&".join(f"{name}=***" if equals else "***" for name, equals, _ in fields)
        return f"{place}?{values}" if values else place

    return RETRIED.sub(hidden, URL.sub(hidden, USER.sub(r"\1***@", text)))
