"""Lower case: Python's rules, Turkish ones, or none."""

from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc

Lowercase = Literal[True, False, "turkish"]
TURKISH = {ord("I"): "ı", ord("İ"): "i"}


def lower(text: str, lowercase: Lowercase) -> str:
    """Lower-case a text; `turkish` has a dotless i and one with a dot, in both cases."""
    if not lowercase:
        return text
    if lowercase == "turkish":  # an I with a dot may be two characters
        text = text.replace("I\u0307", "İ").translate(TURKISH)
    return text.lower()


def is_foreign(texts: pa.Array, lowercase: Lowercase) -> pa.BooleanArray:
    """Tell which texts are not all ASCII, before or after they are lower-cased: (n_texts,) bool."""
    foreign = pc.invert(pc.string_is_ascii(texts))
    if lowercase == "turkish":
        return pc.or_(foreign, pc.match_substring(texts, "I"))
    return foreign
