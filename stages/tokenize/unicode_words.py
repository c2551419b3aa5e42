"""Words of any language, as Unicode finds them: `tokenize.method: unicode`.

Texts are brought into NFC, lower-cased, and cut at the word boundaries of Unicode Standard Annex
29 (https://unicode.org/reports/tr29/). Where a script has no blanks between words (Chinese,
Japanese, Thai, Lao, Khmer, Burmese), ICU's dictionaries find them. A colon, and any white space,
parts words. What holds a letter, a number or an emoji is a word.

Texts of ASCII are cut by arrays of bytes, all others by ICU; a test holds the two equal.
"""

import re
import unicodedata
from functools import lru_cache
from itertools import islice

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stages.shared.errors import InputError
from stages.tokenize.casing import Lowercase, is_foreign, lower
from stages.tokenize.words import join

try:
    from icu4py.breakers import WordBreaker
except ImportError:
    raise InputError(
        "tokenize.method is unicode, which takes the package icu4py, and that is not installed or"
        " does not load on this platform: tokenize.method: keras works without it"
    ) from None

EVERY_LANGUAGE = "root"  # ICU's locale with Unicode's own rules
# White space but the blank, and the colon in all its widths, at which ICU does not always part.
PARTING = re.compile(r"[^\S ]|[:\uFE13\uFE55\uFF1A]")
JOINER = "\u200d"
WORDS_AT_A_TIME = 1 << 16  # some 4 MB of Python objects
SEGMENTS_KNOWN = 1 << 16  # of which it is remembered whether they are words

# UAX 29 on ASCII: letters, digits and underscores stay together, and these between two of a kind.
BETWEEN_LETTERS = b".'"
BETWEEN_DIGITS = b".',;"
LETTERS, DIGITS = b"abcdefghijklmnopqrstuvwxyz", b"0123456789"
UNDERSCORE, BLANK = b"_ "


def marks(characters: bytes) -> np.ndarray:
    """Mark some bytes among all: (256,) bool."""
    return np.isin(np.arange(256), [*characters])


def only(characters: bytes) -> bytes:
    """Make a table for `bytes.translate` that turns all others into blanks."""
    return bytes(byte if byte in characters else BLANK for byte in range(256))


IS_LETTER, IS_DIGIT = marks(LETTERS + LETTERS.upper()), marks(DIGITS)
JOINS_LETTERS, JOINS_DIGITS = marks(BETWEEN_LETTERS), marks(BETWEEN_DIGITS)
KEEP = only(LETTERS + LETTERS.upper() + DIGITS + b"_")
KEEP_AND_LOWER = KEEP.lower()
BETWEEN = marks(BETWEEN_LETTERS + BETWEEN_DIGITS).tobytes()


def segment(texts: pa.Array, lowercase: Lowercase = True) -> pa.LargeBinaryArray:
    """Turn each text into its words, as UTF-8 with blanks around them; nulls are not allowed."""
    foreign = is_foreign(texts, lowercase)
    words = by_icu(texts.filter(foreign).to_pylist(), lowercase)
    plain = by_bytes(texts.cast(pa.large_binary()), lowercase)
    return pc.replace_with_mask(plain, foreign, pa.array(words, pa.large_binary()))


def by_bytes(texts: pa.LargeBinaryArray, lowercase: Lowercase) -> pa.LargeBinaryArray:
    """Blank out what is no word in texts of ASCII; of any other text, something of its length."""
    joined, starts = join(texts)
    joined += b" "  # also what stands before the first byte, by the index -1
    words = np.frombuffer(bytearray(joined.translate(KEEP_AND_LOWER if lowercase else KEEP)), "u1")
    raw = np.frombuffer(joined, np.uint8)
    between = np.flatnonzero(np.frombuffer(joined.translate(BETWEEN), bool))
    mark, before, after = raw[between], raw[between - 1], raw[(between + 1) % len(raw)]
    joins = JOINS_LETTERS[mark] & IS_LETTER[before] & IS_LETTER[after]
    joins |= JOINS_DIGITS[mark] & IS_DIGIT[before] & IS_DIGIT[after]
    words[between[joins]] = mark[joins]
    blank_out_lines(words)
    buffers = [None, pa.py_buffer(starts), pa.py_buffer(words)]
    return pa.LargeBinaryArray.from_buffers(pa.large_binary(), len(texts), buffers)


def blank_out_lines(words: np.ndarray) -> None:
    """Blank out, in place, underscores that stand alone: (n,) uint8, the last a blank."""
    at = np.flatnonzero(words == UNDERSCORE)
    first = at[np.diff(at, prepend=-2) > 1]
    behind = at[np.diff(at, append=len(words) + 1) > 1] + 1
    alone = (words[first - 1] == BLANK) & (words[behind] == BLANK)
    words[at[np.repeat(alone, behind - first)]] = BLANK


def by_icu(texts: list[str], lowercase: Lowercase) -> list[bytes]:
    """Find the words of texts by ICU; one breaker reads all, as a line's end parts words."""
    if not texts:
        return []
    lines = "\n".join(prepared(text, lowercase) for text in texts)
    breaker = WordBreaker(lines, EVERY_LANGUAGE)
    # Most segments are blanks, or letters alone: those need no further look.
    words = (part for part in breaker if part.isalnum() or (part != " " and stays(part)))
    blocks = []
    while block := " ".join(islice(words, WORDS_AT_A_TIME)):
        blocks.append(block)
    return " ".join(blocks).encode().split(b"\n")


def prepared(text: str, lowercase: Lowercase) -> str:
    """Bring a text into NFC and lower case, on one line; a lower-cased text may not be in NFC."""
    lowered = lower(unicodedata.normalize("NFC", text), lowercase)
    return PARTING.sub(" ", unicodedata.normalize("NFC", lowered))


@lru_cache(SEGMENTS_KNOWN)
def stays(segment: str) -> bool:
    """Tell whether a segment holds a letter, a number or an emoji, or ends a line."""
    is_word = any(unicodedata.category(c)[0] in "LN" or is_emoji(c) for c in segment)
    return is_word or segment == "\n"


def is_emoji(character: str) -> bool:
    """Tell what is an emoji, or makes one of others: half of a flag, the frame of a key.

    Python's tables don't say. By rule WB3c of UAX 29, ICU joins emoji to a joiner, and else only
    what joins anything: marks and what is not seen.
    """
    if "\U0001f1e6" <= character <= "\U0001f1ff" or character == "\u20e3":
        return True
    category = unicodedata.category(character)
    if category[0] == "M" or category == "Cf":
        return False
    return len([*WordBreaker(JOINER + character, EVERY_LANGUAGE)]) == 1
