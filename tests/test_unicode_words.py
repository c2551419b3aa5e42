"""Words of any language are those of Unicode, however their text is cut, joined or spelled.

The words that must come out are written by hand, by the rules of Unicode Standard Annex 29 and, for
scripts without blanks, by what a reader of the language takes for its words.
"""

import json
import platform
import shutil
import subprocess
import sys
import time
import unicodedata
from importlib.metadata import version

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from icu4py import icu_version

from stages.shared import artifacts
from stages.shared.schema import Tokenize
from stages.tokenize.__main__ import main, share_without_blanks
from stages.tokenize.encoding import encode, fit
from stages.tokenize.unicode_words import by_icu, segment
from tests.conftest import PROJECT, edit_params

CHINESE = PROJECT.parent / "shared/data/languages/zh.parquet"
PIECES = [
    "", " ", "  ", "\n", "\r", "\r\n", "\t", "\v", "\f", "\x85", "\u2028", "\u2029", "\u00a0",
    "\u202f", "\u3000", "\0", "\ufffd", "\u200b", "\u00ad", "\ufeff", "\u200d", "\u0301", "a\u0301",
    "I\u0307", "İ", "ı", "I", "Σ", "ΟΔΟΣ", "J\u030c", "ß", "É", "can't", "'", "’", ".", ",", ";",
    ":", "：", "_", "__", "-", "3", "3.5", "A", "z", "今天天气", "東京都", "カタカナ", "アイス",
    "กรุงเทพ", "ພາສາ", "ភាសា", "မြန်မာ", "한국어", "שלום", "ר\"ת", "مدرسة", "हिन्दी", "😀",
    "👨\u200d👩", "🇩🇪", "#\ufe0f\u20e3",
]  # fmt: skip
ascii_texts = st.text(st.characters(max_codepoint=127)) | st.lists(
    st.sampled_from([*"aZ09_.,;:'\"- \n\0", "'s", "1.5", "__"]), max_size=20
).map("".join)
any_texts = st.lists(st.sampled_from(PIECES) | st.text(max_size=3), max_size=12).map("".join)
lowercases = st.sampled_from([True, False, "turkish"])


def words(*texts: str, lowercase=True) -> list[list[str]]:
    segmented = segment(pa.array(texts, pa.string()), lowercase)
    return [text.decode().split(" ") if text else [] for text in tidied(segmented)]


def tidied(segmented: pa.Array) -> list[bytes]:
    return [b" ".join(part for part in text.split(b" ") if part) for text in segmented.to_pylist()]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The film isn't bad: 3.5 of 5, I'd say!", "the film isn't bad 3.5 of 5 i'd say"),
        ("e-mail C++ x_y a.b 1,000 10:30 'quoted' __", "e mail c x_y a.b 1,000 10 30 quoted"),
        ("Straße, STRASSE und Übergröße.", "straße strasse und übergröße"),
        ("C’est l’été\u202f: aujourd’hui\u00a0!", "c’est l’été aujourd’hui"),
        ("Ça va\u00a0? Naïve—vraiment…", "ça va naïve vraiment"),
        ("هذا الفيلم جميل، جدًا!", "هذا الفيلم جميل جدًا"),
        ("यह फ़िल्म अच्छी है।", "यह फ़िल्म अच्छी है"),
        ("ภาษาไทยง่าย", "ภาษา ไทย ง่าย"),
        ("今天天气很好，不错！", "今天 天气 很好 不错"),
        ("東京都に住む。アイスクリーム", "東京 都 に 住む アイスクリーム"),
        ("이 영화는 정말 좋아요.", "이 영화는 정말 좋아요"),
        ('צה"ל ושלום', 'צה"ל ושלום'),
        ("ΟΔΟΣ ΣΟΦΟΣ", "οδο\u03c2 σοφο\u03c2"),  # an s at the end has a form of its own
        ("\u0301 a \u00ad b \u200c\u200d \ufffd\0 \u0e34", "a b"),  # marks and what is not seen
        ("I ❤️ it 😀😀 🇩🇪 1️⃣ #️⃣ ½ ★ → █", "i ❤️ it 😀 😀 🇩🇪 1️⃣ #️⃣ ½"),
    ],
)
def test_words_are_those_that_a_reader_sees(text, expected):
    assert words(text) == [unicodedata.normalize("NFC", expected).split(" ")]


@pytest.mark.parametrize(
    ("lowercase", "expected"),
    [
        (True, "i i\u0307stanbul işik di\u0307yarbakir i\u0307"),
        (False, "I İSTANBUL IŞIK DİYARBAKIR İ"),
        ("turkish", "ı istanbul ışık diyarbakır i"),
    ],
)
def test_turkish_has_an_i_with_a_dot_and_one_without(lowercase, expected):
    [found] = words("I İSTANBUL IŞIK DİYARBAKIR I\u0307", lowercase=lowercase)
    assert found == expected.split(" ")
    with_a_mark = {"turkish": "i\u0327", False: "İ\u0327"}.get(lowercase, "i\u0327\u0307")
    assert words("I\u0327\u0307", lowercase=lowercase) == [[with_a_mark]]
    assert words("FILM", lowercase=lowercase) == [[{"turkish": "fılm", False: "FILM"}.get(
        lowercase, "film")]]  # fmt: skip


@pytest.mark.parametrize("lowercase", [True, False, "turkish"])
def test_keras_rule_has_the_same_cases(lowercase):
    expected = {True: "film i\u0307", False: "FILM I\u0307", "turkish": "fılm i"}[lowercase]
    chosen = chosen_settings(method="keras", lowercase=lowercase)
    found = fit(lambda: iter([pa.array(["FILM!", "I\u0307"])]), chosen).words.to_pylist()
    assert found == expected.split(" ")


@settings(max_examples=200, deadline=None)
@given(st.lists(ascii_texts, min_size=1, max_size=4), st.sampled_from([True, False]))
@example(["_", "a", "_a_", "__ _", "a._", "'", "a'", "'a"], True)
def test_ascii_is_cut_as_icu_cuts_it(texts, lowercase):
    by_bytes = tidied(segment(pa.array(texts), lowercase))
    assert by_bytes == tidied(pa.array(by_icu(texts, lowercase)))


def test_every_pair_of_ascii_characters_is_cut_as_icu_cuts_it():
    texts = [f"{a}{b}{chr(c)}{d}" for c in range(128) for a in "aZ9_' " for b in ".,_x5" for d in
             "bB7_ ."]  # fmt: skip
    assert tidied(segment(pa.array(texts))) == tidied(pa.array(by_icu(texts, True)))


@settings(max_examples=200, deadline=None)
@given(st.lists(any_texts, min_size=1, max_size=6), lowercases)
@example(["a\r", "b", "\u0301c", "\u200d😀"], True)
def test_a_text_has_the_same_words_alone_and_among_others(texts, lowercase):
    together = words(*texts, lowercase=lowercase)
    assert together == [words(text, lowercase=lowercase)[0] for text in texts]


def test_more_words_than_are_held_at_a_time_are_as_many():
    assert [len(found) for found in words("é b " * 50_000, "é", "")] == [100_000, 1, 0]


@settings(max_examples=150, deadline=None)
@given(any_texts, ascii_texts, lowercases)
def test_what_stands_behind_a_blank_changes_no_word(one, other, lowercase):
    # An ASCII text is read by bytes; behind a text in any other script it is read by ICU.
    [first], [second], [both] = (
        words(text, lowercase=lowercase) for text in (f"{one} é", other, f"{one} é {other}")
    )
    assert both == first + second


@settings(max_examples=150, deadline=None)
@given(any_texts)
def test_how_accents_are_encoded_changes_no_word(text):
    assert words(unicodedata.normalize("NFD", text)) == words(unicodedata.normalize("NFC", text))


@settings(max_examples=150, deadline=None)
@given(any_texts)
def test_words_hold_no_white_space_and_are_composed(text):
    for word in words(text)[0]:
        assert not any(character.isspace() for character in word)
        assert unicodedata.is_normalized("NFC", word)


@pytest.mark.parametrize(
    "character", ["a", "_", "'", " ", "é", "中", "ก", "\u0301", "😀", "\u200d"]
)
def test_a_million_equal_characters_take_seconds(character):
    start = time.process_time()
    [found] = words(character * 1_000_000)
    assert time.process_time() - start < 20
    assert "".join(found).strip(character) == ""


def chosen_settings(**changes) -> Tokenize:
    return Tokenize(
        **{"method": "unicode", "lowercase": True, "num_words": 100, "num_bigrams": 0, "maxlen": 4}
        | changes
    )


@pytest.mark.parametrize("word", ["a", "ภาษา", "今天", "donaudampfschifffahrt", "😀"])
def test_the_last_words_are_kept_however_many_bytes_they_have(word):
    text = f"{'unbekannt' * 3} start " + f"{word} " * 400 + "ende"
    vocabulary = fit(lambda: iter([pa.array([f"ende {word} {word}"])]), chosen_settings())
    assert vocabulary.words.to_pylist() == [word, "ende"]
    [block] = encode([pa.array([text, word, ""])], vocabulary, chosen_settings())
    assert block.ids.tolist() == [[1, 1, 1, 2], [0, 0, 0, 1], [0, 0, 0, 0]]
    assert block.lengths.tolist() == [403, 1, 0]


@pytest.mark.parametrize("word", ["ab", "éb", "ёb"])
def test_half_a_word_at_the_end_that_is_read_first_is_no_word(word):
    vocabulary = fit(lambda: iter([pa.array([f"b b {word}"])]), chosen_settings())
    texts = pa.array([f"{word} b b b{' u' * n}" for n in range(40)])
    [block] = encode([texts], vocabulary, chosen_settings())
    assert block.ids.tolist() == [[2, 1, 1, 1]] * 40


def test_no_word_is_cut_again_by_the_rule_of_keras():
    text = "don't pay 3.5 for a_b at ex.org c’est #️⃣"
    expected = ["don't", "pay", "3.5", "for", "a_b", "at", "ex.org", "c’est", "#️⃣"]
    assert fit(lambda: iter([pa.array([text])]), chosen_settings()).words.to_pylist() == expected


@pytest.mark.parametrize(
    ("text", "share"),
    [
        ("今天天气很好 ok", 6 / 8),
        ("ภาษาไทย", 1),
        ("ที่นี่ ab", 6 / 8),
        ("plain words", 0),
        ("мир hàng 한국", 0),
        ("!", 0),
    ],
)
def test_letters_of_scripts_without_blanks_are_counted(text, share):
    vocabulary = fit(lambda: iter([pa.array([text, text])]), chosen_settings(method="keras"))
    assert share_without_blanks(vocabulary.words, vocabulary.counts) == pytest.approx(share)


def test_without_icu_one_line_says_so_and_keras_goes_on(tmp_path):
    (tmp_path / "icu4py.py").write_text("raise ImportError('no wheel')\n")
    for method, said in (("unicode", "InputError: tokenize.method is unicode"), ("keras", "")):
        code = (
            "from stages.shared.schema import Tokenize; from stages.tokenize.encoding import *;"
            f"rule_of(Tokenize(method='{method}', lowercase=True, num_words=9, num_bigrams=0,"
            " maxlen=4))"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True,
            env={"PYTHONPATH": str(tmp_path)},
        )  # fmt: skip
        assert said in done.stderr
        assert bool(done.returncode) == bool(said)


@pytest.fixture
def tokenize(tmp_path, monkeypatch, capsys):
    """Runs the stage on texts by a method; returns the files of a split and what was printed."""
    shutil.copy(PROJECT / "params.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["tokenize"])

    def tokenize(method: str, *texts: str):
        edit_params(tmp_path, tokenize__method=method)
        columns = {"split": ["train", "test"], "label": pa.array([0, 1], pa.int8())}
        artifacts.TEXTS.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table(columns | {"text": texts}), artifacts.TEXTS)
        main()
        lengths = [np.load(artifacts.split(name) / "lengths.npy") for name in ("train", "test")]
        return np.concatenate(lengths), capsys.readouterr().out

    return tokenize


def test_the_stage_names_the_method_that_a_text_needs_and_what_found_the_words(tokenize):
    lengths, out = tokenize("keras", "今天天气很好。 ok", "不错")
    assert lengths.tolist() == [2, 1]
    assert lengths.dtype == np.int32
    [warning] = [line for line in out.splitlines() if line.startswith("warning: ")]
    assert "75 % of the train split's letters" in warning
    assert "tokenize.method: unicode" in warning
    assert not artifacts.TOKENIZED_WITH.exists()
    lengths, out = tokenize("unicode", "今天天气很好。 ok", "不错")
    assert lengths.tolist() == [4, 1]
    assert "warning" not in out
    assert json.loads(artifacts.TOKENIZED_WITH.read_text()) == {
        "python": platform.python_version(), "python's unicode": unicodedata.unidata_version,
        "icu4py": version("icu4py"), "icu": icu_version,
    }  # fmt: skip
    _, out = tokenize("keras", "plain words, plain words 好", "words")
    assert "warning" not in out
    assert "3 distinct words, 5 tokens to train on" in out
    assert not artifacts.TOKENIZED_WITH.exists()


@pytest.mark.skipif(not CHINESE.exists(), reason=f"{CHINESE} is not there")
def test_chinese_reviews_are_many_words_that_come_again():
    texts = pa.array(pd.read_parquet(CHINESE)["text"][:2000])
    by_method = {
        method: fit(lambda: iter([texts]), chosen_settings(method=method)).counts.to_numpy()
        for method in ("keras", "unicode")
    }
    share_once = {method: (counts == 1).mean() for method, counts in by_method.items()}
    tokens = {method: counts.sum() for method, counts in by_method.items()}
    assert tokens["unicode"] > 4 * tokens["keras"]
    assert share_once["unicode"] < share_once["keras"]
