"""Build the matrices that a variant can start from, one for each key of `embed`.

In:  data/sequences/vocabulary.parquet, data/sequences/train/, data/raw/vectors/ and, for what an
     encoder makes of texts, data/raw/texts.parquet.
Out: data/embeddings/<key>.npy, (num_words + num_bigrams, dim) float32: row 0 is padding and zero,
     row i belongs to id i, a word without a vector has zeros. Of texts, (.., 1 + fitted): the
     inverse document frequency of each id comes first. Of an encoder's texts, (n_texts, dim).
     metrics/coverage.json: of each key that looks words up, which share of the vocabulary, and of
     the tokens, has a vector, and `warnings`: sentences about too small a share.
     Vectors in data/raw/vectors/ that params.yaml no longer names are removed.
Parameters: embed, tokenize.num_words, tokenize.num_bigrams, seed, download.vectors (its names).

What an encoder has made is kept in data/encoded/, a block at a time: interrupted, the stage goes on
from there. Experiments keep theirs in that of their project. Nothing is removed from it.
"""

import stages.shared.blas  # noqa: F401  before numpy

import numpy as np
import pyarrow.parquet as pq

from stages.embed.matrices import Builder
from stages.shared import artifacts, params
from stages.shared.errors import run
from stages.shared.files import reading, remove_all_but, whole, write_json


def main() -> None:
    settings = params.load()
    with reading(artifacts.VOCABULARY):
        vocabulary = pq.read_table(artifacts.VOCABULARY)
    words, counts = vocabulary["word"].combine_chunks(), vocabulary["count"].to_numpy()
    num_words = settings.tokenize.num_words
    n_ids = num_words + settings.tokenize.num_bigrams
    builder = Builder(words, counts, num_words, n_ids, settings.seed)
    covered = {}
    with whole(artifacts.EMBEDDINGS) as folder:
        folder.mkdir()
        for name, start in settings.embed.items():
            np.save(folder / f"{name}.npy", builder.build(start))
            if start.vectors and not start.texts:
                covered[name] = builder.coverage(start)
    write_json(artifacts.COVERAGE, covered)
    remove_all_but(artifacts.VECTORS, settings.download.vectors)
    for name, of in covered.items():
        print(
            f"{name}: {of['words_kept_with_vector']:,} of the {of['words_kept']:,} words kept have"
            f" a vector, and {of['share_of_tokens']:.2%} of the train split's tokens"
        )
        for warning in of["warnings"]:
            print(f"warning: {name}: {warning}")
    for name, vectors in builder.vectors.items():
        if n_repeated := vectors.n_repeated():
            print(f"{name}: vectors of words that had one before, and are not read: {n_repeated:,}")


if __name__ == "__main__":
    run(main, __doc__)
