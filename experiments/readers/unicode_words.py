"""Words of any language, by Unicode's word boundaries and ICU's dictionaries: takes icu4py."""

import re
import unicodedata

from icu4py.breakers import WordBreaker

PARTING = re.compile(r"[^\S ]|[:\uFE13\uFE55\uFF1A]")


def words(text, lowercase):
    """Cut a text into words. `lowercase` is true, false or "turkish"."""
    text = unicodedata.normalize("NFC", text)
    if lowercase == "turkish":
        text = text.replace("I\u0307", "i").translate({ord("I"): "ı", ord("İ"): "i"})
    text = unicodedata.normalize("NFC", text.lower() if lowercase else text)
    return [part for part in WordBreaker(PARTING.sub(" ", text), "root") if any(map(counts, part))]


def counts(character):
    """Tell whether a character makes a word: a letter, a number, an emoji or half a flag."""
    category = unicodedata.category(character)
    if category[0] in "LN" or "\U0001f1e6" <= character <= "\U0001f1ff" or character == "\u20e3":
        return True
    if category[0] == "M" or category == "Cf":
        return False
    return len([*WordBreaker("\u200d" + character, "root")]) == 1  # ICU joins emoji to a joiner
