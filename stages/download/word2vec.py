"""word2vec's binary files: each word, a blank, and its numbers as little-endian float32.

word2vec ends each vector with a line feed, gensim does not; neither marks a blank that belongs to a
word. Which blank ends a word shows in what follows: bytes read from the wrong place make numbers of
any magnitude, and the next word then begins with the last bytes of a number.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np

from stages.shared.errors import InputError

# The numbers of vectors lie between these, or are zero. Text that is read as a number seldom lies
# there; if its last byte is the blank after a word, it is near 1e-19.
SMALLEST, LARGEST = 1e-7, 1e5
TELLING = 1e-3  # each vector has a greater number; digits and blanks read as numbers have none
LONGEST_WORD = 1000  # bytes in which the blank that ends a word is sought
MOST_FAULTS = 2  # of the right blank: its word and the next may look odd
MOST_AT_ONCE = 256  # words that are checked together
NO_TEXT = re.compile(rb"[\x00-\x08\x0e-\x1f\x7f]")

Span = tuple[int, int]  # where a word starts, and the blank that ends it


class WrongWordError(Exception):
    """What is wrong with the word of a number, which counts from 1."""


def looks_binary(data: bytes, dim: int) -> bool:
    """Tell whether what is no row of text may be a word and its numbers in binary."""
    numbers = np.frombuffer(data[data.find(b" ") + 1 :][: dim * 4].ljust(dim * 4, b"\0"), "<f4")
    telling = plausible(numbers).all() and np.abs(numbers).max() > TELLING
    return bool(telling) or NO_TEXT.search(data) is not None


def plausible(numbers: np.ndarray) -> np.ndarray:
    """Tell of each number whether vectors hold such a one."""
    size = np.abs(numbers)
    return (size == 0) | ((size >= SMALLEST) & (size <= LARGEST))


def binary_blocks(
    path: Path | str, file: BinaryIO, n_words: int, dim: int, block_bytes: int, longest: int
) -> Iterator[tuple[list[str], np.ndarray]]:
    """Yield words and their vectors, (n, dim) float32, of a file positioned after its header.

    Raises InputError if a word has no end in `longest` bytes or none that plausible numbers follow,
    and if there is more than `n_words` and their vectors.
    """
    data, n_before, more = b"", 0, True
    while more:
        more = len(block := file.read(block_bytes)) > 0
        data += block
        # What is behind a vector helps to tell where its word ends.
        stop = len(data) - 2 * LONGEST_WORD if more else len(data)
        try:
            spans = split(data, dim * 4, stop, longest, n_before)
        except WrongWordError as error:
            number, what = error.args
            if number > n_words:
                what = f"its header promises {n_words} words, and what follows them is no vector"
            raise InputError(f"{path}, word {number}: {what}") from None
        if spans:
            n_before += len(spans)
            yield decode(data, spans), gather(data, spans, dim)
            data = data[spans[-1][1] + 1 + dim * 4 :]
    n_left = len(data.strip(b"\n"))
    if n_before == n_words and n_left:
        raise InputError(f"{path}: {n_left:,} bytes follow the {n_words} words its header promises")


def split(data: bytes, n_bytes: int, stop: int, longest: int, n_before: int) -> list[Span]:
    """Find the words whose vectors of `n_bytes` end before `stop`; `n_before` words came earlier.

    Raises WrongWordError.
    """
    spans, position, at_once = [], 0, MOST_AT_ONCE
    while True:
        found, position = by_first_blank(data, position, n_bytes, stop, at_once)
        if not found:
            break
        n_sound = count_sound(data, found, n_bytes // 4)
        spans += found[:n_sound]
        at_once = min(2 * at_once, MOST_AT_ONCE)
        if n_sound < len(found):
            number = n_before + len(spans) + 1
            spans.append(settle(data, found[n_sound][0], n_bytes, number))
            position, at_once = spans[-1][1] + 1 + n_bytes, 1
    if data.find(b" ", position) < 0 and len(data) - position > longest:
        number = n_before + len(spans) + 1
        raise WrongWordError(number, "not what a word2vec file holds")
    return spans


def by_first_blank(
    data: bytes, position: int, n_bytes: int, stop: int, most: int
) -> tuple[list[Span], int]:
    """Find up to `most` words, each ended by its first blank, and the position after them."""
    found = []
    while len(found) < most:
        start = position
        while data.startswith(b"\n", start):
            start += 1
        blank = data.find(b" ", start, stop)
        if blank < 0 or blank + 1 + n_bytes > stop:
            break
        found.append((start, blank))
        position = blank + 1 + n_bytes
    return found, position


def count_sound(data: bytes, spans: list[Span], dim: int) -> int:
    """Count the words before the first that may have been read from a wrong place."""
    wrong = ~plausible(gather(data, spans, dim)).all(axis=1)
    first = int(wrong.argmax()) if wrong.any() else len(spans)
    words = [data[start:blank] for start, blank in spans]
    if not all(words) or odd(b" ".join(words)):  # together first, which is faster
        index = next(index for index, word in enumerate(words) if odd(word))
        first = min(first, max(index - 1, 0))  # what is odd may be the vector before
    feeds = (lacks_line_feed(data, start, blank + 1 + dim * 4) for start, blank in spans[:first])
    return next((index for index, lacks in enumerate(feeds) if lacks), first)


def odd(word: bytes) -> bool:
    """Tell whether a word is empty, not UTF-8, or holds what words don't."""
    try:
        word.decode()
    except UnicodeDecodeError:
        return True
    return not word or b"\n" in word or NO_TEXT.search(word) is not None


def lacks_line_feed(data: bytes, start: int, end: int) -> bool:
    """Tell whether no line feed is at the end of a vector, but one is before its word."""
    return data[start - 1 : start] == b"\n" != data[end : end + 1] and end < len(data)


def settle(data: bytes, start: int, n_bytes: int, number: int) -> Span:
    """Find the blank that ends the word at `start`: the one after which all is most plausible.

    If it is plausible after none, the first is taken, unless the numbers after it are too large.
    Raises WrongWordError.
    """
    first = data.find(b" ", start)
    blanks = [first]
    while (blank := data.find(b" ", blanks[-1] + 1, start + LONGEST_WORD)) >= 0:
        if NO_TEXT.search(data, first, blank) or blank + 1 + n_bytes > len(data):
            break
        blanks.append(blank)
    faults = [count_faults(data, start, blank, n_bytes) for blank in blanks]
    best = blanks[faults.index(min(faults))] if min(faults) <= MOST_FAULTS else first
    largest = np.abs(np.frombuffer(data, "<f4", n_bytes // 4, best + 1)).max()
    if not np.isfinite(largest):
        raise WrongWordError(number, "a number that is not finite")
    if largest > LARGEST or b"\0" in data[start:best]:
        what = f"a number of {largest:.2g}" if largest > LARGEST else "a zero byte in it"
        raise WrongWordError(
            number,
            f"{what}: the file is damaged, or a word holds a blank that can't be told from the one"
            " after it",
        )
    return start, best


def count_faults(data: bytes, start: int, blank: int, n_bytes: int) -> int:
    """Count what speaks against a word's ending at a blank: in it, its numbers, the next word."""
    end = blank + 1 + n_bytes
    numbers = np.frombuffer(data, "<f4", n_bytes // 4, blank + 1)
    n_wrong = int(np.count_nonzero(~plausible(numbers)))
    following = data[end : end + LONGEST_WORD].lstrip(b"\n").partition(b" ")
    is_last = not following[0] and not following[1]
    n_wrong += lacks_line_feed(data, start, end)
    return n_wrong + odd(data[start:blank]) + (not is_last and odd(following[0]))


def decode(data: bytes, spans: list[Span]) -> list[str]:
    """Decode words, with U+FFFD for what is not UTF-8 and a blank for a line feed."""
    return [data[start:end].replace(b"\n", b" ").decode("utf-8", "replace") for start, end in spans]


def gather(data: bytes, spans: list[Span], dim: int) -> np.ndarray:
    """Gather the vectors after words, (n_words, dim) float32."""
    rows = [data[blank + 1 : blank + 1 + dim * 4] for _, blank in spans]
    return np.frombuffer(b"".join(rows), "<f4").reshape(-1, dim)
