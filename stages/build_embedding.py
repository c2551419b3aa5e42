"""Build the matrices that a variant's Embedding layer can start from.

In:  data/sequences/vocabulary.parquet, data/sequences/train/ and data/raw/vectors/.
Out: data/embeddings/random.npy, glove.npy, domain.npy and adapted.npy, each (num_words +
     num_bigrams, dim) float32: row 0 is padding and zero, row i belongs to index i, a word without
     a vector has zeros. The latter two are empty unless they are asked for under `embed`.
     metrics/coverage.json: which share of the vocabulary, and of the tokens, has a vector, and
     `warnings`: sentences about too small a share.
Parameters: embed, tokenize.num_words, tokenize.num_bigrams, seed.
"""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from stages import evidence
from stages.draws import draw_matrix
from stages.shared import artifacts, params
from stages.shared.artifacts import InputError, reading, run, whole, write_json

MISSING_SHOWN = 20  # of the most frequent words without a vector
MOST_WORDS = 0.5  # of the vectors, from which on something is said of them


def find_rows(words: pa.Array, vector_words: pa.Array) -> np.ndarray:
    """Find each word's row among the vectors, (n_words,) int64; -1: it has none."""
    rows = pc.index_in(words, value_set=vector_words)
    return pc.fill_null(rows, -1).to_numpy(zero_copy_only=False).astype(np.int64)


def look_up(rows: np.ndarray, vectors: np.ndarray, num_words: int, n_ids: int) -> np.ndarray:
    """Gather the vectors of the vocabulary, (n_ids, dim) float32; touches those rows alone."""
    rows = rows[: num_words - 1]
    known = rows >= 0
    matrix = np.zeros((n_ids, vectors.shape[1]), dtype=np.float32)
    matrix[1 : len(rows) + 1][known] = vectors[rows[known]]
    return matrix


def fitted(embed: params.Embed, glove: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    """Fit the matrices that `embed` asks for to the train split, as wide as it says."""
    from stages import domain  # scikit-learn takes a second to import, and most runs don't need it

    with reading(artifacts.split("train")):
        sequences = np.load(artifacts.split("train") / "sequences.npy", mmap_mode="r")
    counts = domain.count_tokens(sequences, len(glove))
    matrices = {}
    for name in ("domain", "adapted"):
        if section := getattr(embed, name):
            vectors = domain.fit_vectors(counts, section.dim, seed)
            matrices[name] = domain.centred(vectors, counts)
    if "adapted" in matrices:
        pretrained = domain.centred(glove, counts)
        matrices["adapted"] = domain.beside(pretrained, matrices["adapted"])
    return matrices


def coverage(words: pa.Array, counts: np.ndarray, rows: np.ndarray, num_words: int) -> dict:
    """Count what has a vector, in the whole vocabulary and in the num_words - 1 words kept."""
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


def warnings(covered: dict, vector_words: pa.Array) -> list[str]:
    """Say where too few of the text's words have a vector, and what shows why.

    `covered` as from coverage. Tokens are in lower case and hold no underscore.
    """
    share = covered["share_of_tokens"]
    if share >= evidence.FEW_TOKENS:
        return []
    found = [
        f"only {100 * share:.1f} % of the train split's words have a pretrained vector: are the"
        " vectors of the text's language?"
    ]
    if share < evidence.LEAST_TOKENS:
        found.append(
            f"under {100 * evidence.LEAST_TOKENS:.0f} %, no verdict on the vectors will be given"
        )
    for pattern, what in (
        (r"^\p{Lu}", "begin with a capital letter, and the text is read in lower case"),
        ("._.", "hold an underscore, where the text is cut into words"),
    ):
        if pc.mean(pc.match_substring_regex(vector_words, pattern)).as_py() > MOST_WORDS:
            found.append(f"most words of the vectors {what}: these match nothing")
    return found


def main() -> None:
    settings = params.load()
    num_words, embed = settings.tokenize.num_words, settings.embed
    n_ids = num_words + settings.tokenize.num_bigrams
    with reading(artifacts.VOCABULARY):
        vocabulary = pq.read_table(artifacts.VOCABULARY)
    with reading(artifacts.VECTORS):
        # Not read_text, which takes a carriage return in a word for the end of a line.
        listed = artifacts.VECTOR_WORDS.read_bytes().decode("utf-8").split("\n")[:-1]
        vectors = np.load(artifacts.VECTOR_MATRIX, mmap_mode="r")
    if len(listed) != len(vectors):
        raise InputError(
            f"{artifacts.VECTORS} holds {len(listed)} words and {len(vectors)} vectors:"
            " dvc repro --force download@vectors"
        )
    words, vector_words = vocabulary["word"].combine_chunks(), pa.array(listed, pa.string())
    rows = find_rows(words, vector_words)
    covered = coverage(words, vocabulary["count"].to_numpy(), rows, num_words)
    covered["warnings"] = warnings(covered, vector_words)
    nothing = np.empty((0, 0), np.float32)
    matrices = {
        "random": draw_matrix(n_ids, embed.random.dim, settings.seed),
        "glove": look_up(rows, vectors, num_words, n_ids),
        "domain": nothing,
        "adapted": nothing,
    }
    if embed.domain or embed.adapted:
        matrices |= fitted(embed, matrices["glove"], settings.seed)
    for name, matrix in matrices.items():
        with whole(artifacts.embedding(name)) as partial, partial.open("wb") as file:
            np.save(file, matrix)
    write_json(artifacts.COVERAGE, covered)
    print(
        f"{covered['words_kept_with_vector']:,} of the {covered['words_kept']:,} words kept have a"
        f" vector, and {covered['share_of_tokens']:.2%} of the train split's tokens"
    )
    if n_repeated := len(vector_words) - pc.count_distinct(vector_words).as_py():
        print(f"vectors of words that had one before, and are not read: {n_repeated:,}")
    for warning in covered["warnings"]:
        print(f"warning: {warning}")


if __name__ == "__main__":
    run(main, __doc__)
