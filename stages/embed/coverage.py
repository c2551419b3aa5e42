"""How much of the train split's text has a vector, and what may be wrong if that is little."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stages.shared.evidence import FEW_TOKENS, LEAST_TOKENS

MISSING_SHOWN = 20  # of the most frequent words without a vector
MOST_WORDS = 0.5  # of the vectors' words; if more look odd, a warning says so


def coverage(words: pa.Array, counts: np.ndarray, rows: np.ndarray, num_words: int) -> dict:
    """Count what has a vector, in the whole vocabulary and in the num_words - 1 words kept.

    words, counts and rows are (n_words,); a row is a word's place among the vectors, or -1.
    """
    known = rows >= 0
    kept = slice(num_words - 1)
    missing = np.flatnonzero(~known[kept])[:MISSING_SHOWN]
    return {
        "words": len(words),
        "words_with_vector": int(known.sum()),
        "words_kept": len(words[kept]),
        "words_kept_with_vector": int(known[kept].sum()),
        "share_of_words_kept": round(float(known[kept].mean()), 4),
        "tokens": int(counts.sum()),
        "share_of_tokens": round(float(counts[known].sum() / counts.sum()), 4),
        "most_frequent_without_vector": words.take(missing).to_pylist(),
    }


def warnings(share_of_tokens: float, vector_words: pa.Array, match: str) -> list[str]:
    """Warn if too few of the text's words have a vector, and say what may be the reason.

    The text's tokens are in lower case and, by Keras' rule, have no underscore. So such vectors
    match nothing, but for capital letters where `match` is folded.
    """
    if share_of_tokens >= FEW_TOKENS:
        return []
    found = [
        f"only {100 * share_of_tokens:.1f} % of the train split's words have a pretrained vector:"
        " are the vectors of the text's language?"
    ]
    if share_of_tokens < LEAST_TOKENS:
        found.append(f"under {100 * LEAST_TOKENS:.0f} %, no verdict on the vectors will be given")
    odd = {"._.": "hold an underscore, where the text is cut into words: these match nothing"}
    if match == "exact":
        odd[r"^\p{Lu}"] = (
            "begin with a capital letter, and the text is read in lower case: match: folded finds"
            " them"
        )
    for pattern, what in odd.items():
        if pc.mean(pc.match_substring_regex(vector_words, pattern)).as_py() > MOST_WORDS:
            found.append(f"most words of the vectors {what}")
    return found
