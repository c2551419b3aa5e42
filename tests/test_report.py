"""report: what the page answers, and that nobody's text or secret gets through it."""

import json
import re
from html.parser import HTMLParser

import pandas as pd
import pytest
import yaml

from stages.report.answer import answer, most_accurate, terminal
from stages.report.html import html
from stages.report.markdown import plain, table
from stages.report.page import markdown, mistakes
from stages.shared.schema import Params, Start
from tests.conftest import PROJECT

DATA = {
    "name": "mine.csv", "labels": ["ham", "spam"], "train": [9_000, 11_000], "test": [2_800, 2_200],
    "test_in_train": 12, "two_labels": 1, "words": 7_000, "tokens": 90_000,
}  # fmt: skip
MANY = DATA | {
    "labels": ["b", "*", "a"], "train": [5_000, 9_000, 300], "test": [1_000, 4_000, 29],
}  # fmt: skip
HOSTILE = (
    "<br /><script>alert(1)</script> ![x](http://evil.example/x.png) [y](javascript:z) `a` | *b* "
    "&amp; \\ \\*e\\* \\| <http://evil.example> ~~c~~ __d__\n\n# heading\n"
    "```\n<img src=//evil.example>"
)
TABLES = {
    "neighbours": [
        ("learned", "initial", "good", "the, of"),
        ("learned", "trained", "good", "great, fine"),
        ("finetuned", "initial", "bad", "worst, poor"),
        ("finetuned", "trained", "bad", "worst, poor"),
        ("pretrained", "initial", HOSTILE, HOSTILE),
    ],
    "moved": [("learned", HOSTILE, 0.25, "before it", HOSTILE)],
    "disagreements": [
        ("pretrained", "learned right, pretrained wrong", 7, 1, 0.81, 0.12, HOSTILE),
        ("pretrained", "pretrained right, learned wrong", 8, 0, 0.77, 0.23, "ends well"),
    ],
    "pictured": [
        ("learned", "initial", "good", 1, 0.5, 0.25),
        ("learned", "initial", "bad", 0, 0, 1),
    ],
    "classes": [
        (name, label, 500, 0.5, 0.5, f1)
        for name, ham, spam in (
            ("learned", 0.5, 0.25),
            ("pretrained", 0.125, 1),
            ("finetuned", 0, 0.75),
        )
        for label, f1 in (("ham", ham), ("spam", spam))
    ],
    "calibration": [("learned", 0, 0.25, 0.5)],
    "lengths": [("learned", 1, 99, 3000, 0.5), ("pretrained", 1, 99, 3000, 0.625)],
}
COLUMNS = {
    "neighbours": ["variant", "matrix", "word", "neighbours"],
    "moved": ["variant", "word", "distance", "before", "after"],
    "disagreements": ["variant", "kind", "row", "label", "learned", "other", "text"],
    "pictured": ["variant", "matrix", "word", "label", "x", "y"],
    "classes": ["variant", "class", "texts", "precision", "recall", "f1"],
    "calibration": ["variant", "repeat", "predicted", "right"],
    "lengths": ["variant", "words_from", "words_to", "texts", "accuracy"],
}


@pytest.fixture
def settings(project):
    """The project's parameters, with sections or variants changed."""

    def change(variants: dict | None = None, **changes: dict) -> Params:
        content = yaml.safe_load((project / "params.yaml").read_text())
        del content["variants"]["tfidf"]  # it has a test of its own
        content["variants"] |= variants or {}
        for key, values in changes.items():
            section = content
            for part in key.split("__"):
                section = section[part]
            section.update(values)
        return Params.model_validate(content)

    return change


@pytest.fixture
def coverage(project):
    glove = json.loads((project / "metrics/coverage.json").read_text())["glove"]
    return {"glove": glove | {"warnings": []}}


@pytest.fixture
def folder(tmp_path):
    """A folder with all pictures that a page can have."""
    (tmp_path / "figures").mkdir()
    for name in (
        "comparison", "confusion", "accuracy", "loss", "words", "calibration", "lengths",
    ):  # fmt: skip
        (tmp_path / f"figures/{name}.png").write_bytes(name.encode())
    return tmp_path


def evaluation(undecided: tuple = (), **gaps: tuple) -> dict:
    """metrics/evaluation.json of learned at 0.6 and variants with (gap, low, high)."""
    is_one_repeat = any(low is None for _, low, _ in gaps.values())
    rest = {
        "balanced_accuracy": 0.58, "macro_f1": 0.57, "log_loss": 0.6, "roc_auc": 0.65,
        "accuracy_std": None if is_one_repeat else 0.01, "largest_share": 0.7,
    }  # fmt: skip
    keys = ("accuracy", "accuracy_low", "accuracy_high", "roc_auc", "roc_auc_low", "roc_auc_high")
    accuracy = {"learned": 0.6} | {name: 0.6 + gap[0] for name, gap in gaps.items()}
    first, *others = sorted(accuracy, key=lambda name: -accuracy[name])
    return {
        **{name: {"accuracy": value, **rest} for name, value in accuracy.items()},
        "gap": {
            f"{name}-learned": dict(zip(keys, (*gap, -0.005, *gap[1:]), strict=True))
            for name, gap in gaps.items()
        },
        "best": {
            "variant": first,
            "second": others[0] if others else None,
            "accuracy_low": None if is_one_repeat or not others else 0.001,
            "undecided": [*undecided],
        },
        "majority": 0.44,
    }


WON, LOST = (0.042, 0.026, 0.058), (-0.023, -0.034, -0.012)
UNDECIDED = (0.004, -0.011, 0.019)
RESULT = evaluation(pretrained=WON, finetuned=UNDECIDED)


@pytest.fixture
def page(settings, coverage):
    """Writes the page with all tables but those named, or for other parameters."""

    def write(*without: str, of: Params | None = None) -> str:
        tables = {
            name: pd.DataFrame(rows, columns=COLUMNS[name])
            for name, rows in TABLES.items()
            if name not in without
        }
        return markdown(of or settings(), RESULT, coverage, DATA, tables)

    return write


class Reader(HTMLParser):
    """Notes what a browser would see: elements, what they refer to, and text."""

    def __init__(self, html: str):
        super().__init__()
        self.elements, self.references, self.text = set(), [], ""
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.elements.add(tag)
        self.references += [value for key, value in attrs if key in ("src", "href", "srcset")]

    def handle_data(self, data):
        self.text += data


@pytest.mark.parametrize(
    ("pretrained", "finetuned", "expected"),
    [
        (WON, WON, "**Yes:** with 200 labelled texts, `pretrained` beats `learned` by 4.2 points "
         "of test accuracy (95 % interval 2.6 to 5.8), and `finetuned` beats `learned` by 4.2 "
         "points (2.6 to 5.8). "),
        (LOST, LOST, "**No:** "),
        (LOST, UNDECIDED, "**Undecided:** with 200 labelled texts, `pretrained` loses to `learned` "
         "by 2.3 points of test accuracy (95 % interval 1.2 to 3.4), and `finetuned` does not "
         "differ significantly from `learned` (−1.1 to 1.9 points). "),  # noqa: RUF001
        (UNDECIDED, UNDECIDED, "**Undecided:** with 200 labelled texts, `pretrained` does not "
         "differ significantly from `learned` (95 % interval −1.1 to 1.9 points of test accuracy), "  # noqa: RUF001
         "and "
         "`finetuned` does not "),
        (LOST, WON, "**In part:** "),
        (WON, (0.01, 0.0001, 0.02), "**Yes:** with 200 labelled texts, `pretrained` beats "
         "`learned` by 4.2 points of test accuracy (95 % interval 2.6 to 5.8), and `finetuned` "
         "beats `learned` by 1.0 points (0.01 to 2.0). "),
    ],
)  # fmt: skip
def test_the_answer_says_who_beats_whom_and_how_sure_that_is(
    settings, coverage, pretrained, finetuned, expected
):
    result = evaluation(pretrained=pretrained, finetuned=finetuned)
    assert answer(settings(), result, coverage, DATA).startswith(expected)


def test_one_repeat_says_nothing_about_other_draws(settings, coverage):
    one = settings(train={"repeats": 1})
    result = evaluation(pretrained=(0.042, None, None), finetuned=(-0.01, None, None))
    assert answer(one, result, coverage, DATA).startswith(
        "With one draw of 200 labelled texts, `pretrained` is 4.2 points of test accuracy "
        "above `learned`, and `finetuned` is 1.0 points below `learned`, which says nothing "
        "about other draws. "
    )
    same = evaluation(pretrained=(0.0, None, None), finetuned=(0.01, None, None))
    said = answer(one, same, coverage, DATA)
    assert "`pretrained` has the same test accuracy as `learned`" in said
    text = markdown(one, result, coverage, DATA, {})
    assert "± " not in text
    assert "None" not in text


def test_a_variant_of_ones_own_is_compared_but_answers_only_with_pretrained_vectors(
    settings, coverage
):
    own = settings(variants={"noise": {"vectors": "random", "trainable": False}})
    result = evaluation(pretrained=WON, finetuned=WON, noise=LOST)
    said = answer(own, result, coverage, DATA)
    assert said.startswith("**Yes:** ")
    assert ", `finetuned` beats `learned` by 4.2 points (2.6 to 5.8), and `noise` loses to" in said


def test_a_baseline_and_a_control_are_compared_but_do_not_answer(settings, coverage):
    own = settings(
        variants={
            "tfidf": {"vectors": "tfidf", "trainable": False},
            "control": {"vectors": "shuffled", "trainable": False},
        },
        embed={"shuffled": {"vectors": "glove", "shuffled": True}},
    )
    result = evaluation(pretrained=WON, finetuned=WON, tfidf=LOST, control=LOST)
    assert answer(own, result, coverage, DATA).startswith("**Yes:** ")
    result = evaluation(pretrained=LOST, finetuned=LOST, tfidf=WON, control=WON)
    said = answer(own, result, coverage, DATA)
    assert said.startswith("**No:** ")
    assert "`tfidf` beats `learned` by 4.2 points" in said
    page = markdown(own, result, coverage, DATA, {})
    assert "| `tfidf` | no embedding: a logistic regression on TF-IDF |" in page
    own.embed["tfidf"] = Start(texts="naive-bayes", fitted=9)
    page = markdown(own, result, coverage, DATA, {})
    assert "TF-IDF, weighed by naive Bayes, beside 9 columns fitted to the text |" in page
    assert answer(own, result, coverage, DATA).startswith("**No:** ")
    assert "| `control` | pretrained vectors of other words, frozen |" in page
    own.embed["shuffled"] = Start(fitted=9)
    page = markdown(own, result, coverage, DATA, {})
    assert "| `control` | vectors fitted to the text, frozen |" in page
    own.embed["shuffled"] = Start(vectors="glove", shuffled=True, match="folded", centred=True)
    page = markdown(own, result, coverage, DATA, {})
    assert "| pretrained vectors of other words, looked up folded, centred, frozen |" in page


def test_the_words_without_a_vector_are_listed_under_the_file_that_lacks_them(settings, coverage):
    coverage["glove"] |= {
        "most_frequent_without_vector": ["colour", "a|b"], "words": 7000, "words_with_vector": 3500,
        "words_kept": 1000, "share_of_words_kept": 0.81, "tokens": 50_000, "share_of_tokens": 0.922,
    }  # fmt: skip
    page = markdown(settings(), RESULT, coverage, DATA, {})
    assert "| words of the train split | `glove` | 7,000 | 50.0 % |" in page
    assert "| of these, kept | `glove` | 1,000 | 81.0 % |" in page
    assert "| tokens of the train split | `glove` | 50,000 | 92.2 % |" in page
    assert "The most frequent words without a vector in `glove`: colour, a\\|b." in page


def test_a_baseline_with_a_doubt_about_it_gets_no_verdict(settings, coverage):
    own = settings(variants={"tfidf": {"vectors": "tfidf", "trainable": False}})
    result = evaluation(pretrained=LOST, finetuned=LOST, tfidf=WON)
    result["tfidf"]["largest_share"] = 1.0
    said = answer(own, result, coverage, DATA)
    assert said.startswith("**No:** ")
    assert (
        "and `tfidf` is 4.2 points above `learned` (2.6 to 5.8), which is no answer (tfidf gives"
        " nearly every text the same label)."
    ) in said
    assert "coin toss" not in said


def test_learned_alone_has_nothing_to_be_compared_with(settings, coverage):
    alone = settings().model_copy(update={"variants": {"learned": settings().variants["learned"]}})
    text = markdown(alone, evaluation(), coverage, DATA, {})
    assert "Only `learned` was trained" in text


@pytest.mark.parametrize(
    ("area", "grade"),
    [(0.95, "outstanding"), (0.85, "excellent"), (0.75, "acceptable"), (0.6, "not much better"),
     (0.5, "no better than a coin toss"), (0.0, "no better than a coin toss")],
)  # fmt: skip
def test_the_answer_says_how_good_the_best_is_and_what_needs_no_model(
    settings, coverage, area, grade
):
    result = evaluation(pretrained=WON, finetuned=LOST)
    result["pretrained"]["roc_auc"] = area
    _, untuned, second, third = answer(settings(), result, coverage, DATA).split(". ")
    assert untuned.startswith("All were trained by one recipe")
    tuned = settings(train={"tune": {"learning_rates": [0.1], "folds": 5}})
    assert "recipe" not in answer(tuned, result, coverage, DATA)
    assert second == (
        "The most accurate, `pretrained`, labels 64.2 % of the 5,000 test texts right; "
        "always saying spam is right for 44.0 %"
    )
    assert third.startswith("`pretrained` ranks a text labelled spam above one labelled ham in ")
    assert grade in third


def test_of_many_labels_the_answer_has_their_mean_f1_and_no_grade(settings, coverage):
    said = answer(settings(), RESULT, coverage, MANY)
    assert said.startswith("**In part:** ")
    assert r"labels 64.2 % of the 5,029 test texts right; always saying \* is right" in said
    assert said.endswith("`pretrained` has a macro F1 of 0.570, the mean over the 3 labels.")
    assert not re.search("ROC AUC|coin toss", said)


def test_each_label_has_a_row_of_its_texts_and_f1(page):
    section = page().partition("## Label by label")[2].partition("\n## ")[0]
    assert "| ham | 9,000 | 2,800 | 0.500 | 0.125 | 0.000 |" in section
    assert "| spam | 11,000 | 2,200 | 0.250 | 1.000 | 0.750 |" in section
    assert "fewer" not in section


def test_of_many_labels_the_most_frequent_are_shown_and_rare_ones_told(settings, coverage):
    names = [f"l{i}" for i in range(25)]
    data = DATA | {"labels": names, "train": [100] * 25, "test": [*range(10, 35)]}
    rows = [("learned", name, 1, 0, 0, i / 25) for i, name in enumerate(names)]
    rows += [(of, *row[1:]) for row in rows for of in ("pretrained", "finetuned")]
    table = pd.DataFrame(rows, columns=COLUMNS["classes"])
    text = markdown(settings(), RESULT, coverage, data, {"classes": table})
    section = text.partition("## Label by label")[2].partition("\n## ")[0]
    shown = re.findall(r"^\| (l\d+) \|", section, re.MULTILINE)
    assert shown == [f"l{i}" for i in range(24, 4, -1)]
    assert "F1 of the 20 labels of the most test texts" in section
    assert "All 25 are in `data/report/classes.csv`. 20 labels have fewer than 30" in section
    assert "550 texts in the test split (25 labels)" in text
    assert "of these, labelled" not in text
    assert "threshold of 0.5" not in text


def test_none_is_called_the_most_accurate_where_the_intervals_do_not_say_so(settings, coverage):
    result = evaluation(("finetuned", "learned"), pretrained=WON, finetuned=UNDECIDED)
    said = answer(settings(), result, coverage, DATA)
    assert "most accurate" not in said
    assert (
        "Of the 5,000 test texts, `pretrained` labels 64.2 % right, not significantly more than "
        "`finetuned` or `learned`; always saying spam is right for 44.0 %."
    ) in said
    none = (None, None)
    one = evaluation(("finetuned", "learned"), pretrained=(0.042, *none), finetuned=(0, *none))
    said = answer(settings(train={"repeats": 1}), one, coverage, DATA)
    assert "`pretrained` labels the most right, 64.2 %; always" in said
    assert not re.search("most accurate|significantly", said)
    assert "ranks a text labelled spam above one labelled ham in 65 % of pairs (ROC AUC)" in said
    alone = most_accurate(evaluation(), DATA)
    assert alone == "Of the 5,000 test texts, `learned` labels 60.0 % right;"


@pytest.mark.parametrize(
    ("samples", "said"),
    [
        (4_000, None),
        (4_001, "each draw holds 20 % of the train split, so the draws share many texts"),
        (16_000, "each draw holds 80 % of the train split"),
        (
            20_000,
            "every draw holds all 20,000 texts of the train split. So the intervals speak of",
        ),
    ],
)
def test_draws_that_share_many_texts_are_warned_of(settings, coverage, samples, said):
    text = markdown(settings(train={"samples": samples}), RESULT, coverage, DATA, {})
    assert (f"**Warning:** {said}" in text) if said else ("Warning" not in text)


def test_the_table_ends_with_what_needs_no_model(page):
    assert "| majority | no model, always says spam | 0.440 |  |  |  |  |  |  |" in page()


def test_a_table_has_its_first_column_at_the_left_and_numbers_at_the_right():
    assert table([{"a": "x", "b": "1"}]) == "| a | b |\n| --- | --: |\n| x | 1 |"


def test_the_area_is_told_by_the_number_of_labels(settings, coverage, page):
    assert "of one label ranks above one of the other. A gap that is" in page()
    text = markdown(settings(), RESULT, coverage, MANY, {})
    assert "of one label ranks above one of any other by the probability of that label, me" in text


def test_groups_are_told_where_there_are_any(settings, coverage, page):
    assert "group" not in page().partition("## How they learned")[0]
    text = markdown(settings(), RESULT, coverage, DATA | {"test_groups": 1_234}, {})
    assert (
        "bold where zero is outside. Texts of one group count together: the test split has 1,234"
        " groups.\n"
    ) in text


def test_every_parameter_of_the_file_has_a_row_and_no_other(page):
    rows = page().partition("### Every parameter")[2].split("\n\n")[1].splitlines()[2:]
    listed = dict(row.strip("| ").split(" | ") for row in rows)
    expected, waiting = {}, [("", yaml.safe_load((PROJECT / "params.yaml").read_text()))]
    for key, value in waiting:
        if isinstance(value, dict):
            waiting += [(f"{key}.{name}".strip("."), of) for name, of in value.items()]
        else:
            expected[plain(key)] = plain(value) if isinstance(value, str) else json.dumps(value)
    in_the_page = {key: value for key, value in expected.items() if "variants.tfidf" not in key}
    assert listed == in_the_page


def test_the_words_are_said_to_be_of_repeat_0_and_of_all_labels(page):
    words = page().partition("## What the vectors did")[2].partition("\n## ")[0]
    assert "of repeat 0" in words
    assert "by all labels of the train split" in words


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"coverage": {"share_of_tokens": 0.194}},
         "only 19.4 % of the train split's words have a vector in glove"),
        ({"learned": {"largest_share": 0.98}}, "learned gives nearly every text the same label"),
        ({"finetuned": {"largest_share": 1.0}}, "finetuned gives nearly every text the same"),
        ({"data": {"test": [29, 971]}},
         "a verdict takes 30 test texts of each label, and there are only 29 labelled ham"),
        ({"data": MANY | {"test": [12, 900, 17]}},
         "a verdict takes 30 test texts of all labels but the most frequent together, and there are"
         " only 29"),
    ],
)  # fmt: skip
def test_without_evidence_there_is_no_verdict_but_a_reason(settings, coverage, change, reason):
    result, data = evaluation(pretrained=WON, finetuned=WON), DATA
    for name, values in change.items():
        if name in result:
            result[name] |= values
        coverage["glove"] |= values if name == "coverage" else {}
        data = data | (values if name == "data" else {})
    said = answer(settings(), result, coverage, data)
    assert said.startswith(f"**No verdict:** {reason}")
    assert not re.search("Yes|No:|beats|loses|coin toss", said)
    assert "`pretrained` is 4.2 points of test accuracy above `learned` (95 % interval" in said


def test_many_labels_of_few_texts_each_are_enough_together(settings, coverage):
    data = DATA | {"labels": [f"l{i}" for i in range(40)], "train": [50] * 40, "test": [20] * 40}
    assert answer(settings(), RESULT, coverage, data).startswith("**In part:** ")


def test_the_doubt_about_a_file_of_vectors_is_said_once_by_its_name(settings, coverage):
    own = settings(
        embed={"joined": {"vectors": "glove", "fitted": 50}},
        variants={"both": {"vectors": "joined", "trainable": False}},
    )
    result = evaluation(pretrained=WON, finetuned=WON, both=WON)
    little = coverage["glove"] | {"share_of_tokens": 0.194}
    said = answer(own, result, {"glove": little, "joined": little}, DATA)
    assert said.startswith(
        "**No verdict:** only 19.4 % of the train split's words have a vector in glove."
    )


def test_a_label_said_almost_always_is_one_class_unless_it_is_almost_always_right(
    settings, coverage
):
    result = evaluation(pretrained=WON, finetuned=WON)
    result["learned"]["largest_share"] = 0.96
    uneven = DATA | {"test": [4_750, 250]}
    assert answer(settings(), result, coverage, uneven).startswith("**Yes:** ")
    assert answer(settings(), result, coverage, DATA).startswith("**No verdict:** ")


@pytest.mark.parametrize(("train", "left"), [([9_000, 11_000], "10,000"), ([2_900, 300], "3,000")])
def test_no_more_texts_are_said_to_validate_on_than_are_left(settings, coverage, train, left):
    text = markdown(settings(), RESULT, coverage, DATA | {"train": train}, {})
    assert f"| of these, drawn to validate on | {left} |" in text


def test_equal_texts_are_told_and_warned_of_where_they_are_many(page, settings, coverage):
    assert r"0.2 % of the test split's texts (12) are in the train split too" in page()
    assert "1 text has more than one label." in page()
    assert "Warning" not in page()
    many = DATA | {"test_in_train": 250, "two_labels": 0}
    text = markdown(settings(), RESULT, coverage, many, {})
    assert "**Warning:** 5.0 % of the test split's texts (250) are in the train split" in text
    assert "both labels" not in text
    coverage["glove"]["warnings"] = ["only 62.0 % of <the words>"]
    text = markdown(settings(), RESULT, coverage, DATA, {})
    assert r"**Warning:** only 62.0 % of \<the words>" in text
    other = coverage | {"fasttext": coverage["glove"] | {"warnings": ["few"]}}
    own = settings(embed={"fasttext": {"vectors": "glove"}})
    text = markdown(own, RESULT, other, DATA, {})
    assert r"**Warning:** `glove`: only 62.0 % of \<the words>" in text
    assert "**Warning:** `fasttext`: few" in text


def test_without_vectors_the_page_still_says_how_many_words_and_tokens_there_are(settings, page):
    assert page().count("| tokens of the train split |") == 1  # beside those with a vector
    for num_words, kept in ((5000, "4,999"), (10_000, "7,000")):
        own = settings(tokenize={"num_words": num_words}, variants={})
        text = markdown(own, RESULT, {}, DATA, {})
        assert "| words of the train split | 7,000 |" in text
        assert f"| of these, kept | {kept} |" in text
        assert "| tokens of the train split | 90,000 |" in text


def test_the_terminal_gets_what_stands_above_the_sections_in_80_columns(settings, coverage):
    data = DATA | {"labels": ["ham", "a*b_c"], "test_in_train": 250}
    text = terminal(markdown(settings(), RESULT, coverage, data, {}))
    assert text.startswith("In part: with 200 labelled texts, pretrained beats learned by 4.2")
    assert "always saying a*b_c is" in " ".join(text.split())
    assert "\n\nWarning: 5.0 % of" in text
    assert text.endswith("\n\nThe report: metrics/report.html\n")
    assert max(map(len, text.splitlines())) <= 80


def test_words_that_the_font_lacks_are_numbered_and_listed(settings, coverage):
    tables = {"pictured": pd.DataFrame({"word": ["好", "bad"] * 2})}
    text = markdown(settings(), RESULT, coverage, DATA, tables)
    assert "The numbers stand for: 1 好, 2 bad." in text
    tables = {"pictured": pd.DataFrame({"word": ["gut", "schön"]})}
    assert "The numbers" not in markdown(settings(), RESULT, coverage, DATA, tables)


def test_a_picture_can_be_opened_without_a_script(page, folder):
    shown = html("title", page(), folder)
    assert shown.count('<label class="figure"><input type="checkbox"') == shown.count("<img ") == 7
    assert "<script" not in shown


def test_a_gap_is_bold_where_its_interval_leaves_out_zero(page):
    assert "| **+0.042** (0.026 to 0.058) | **−0.005** (0.026 to 0.058) |" in page()  # noqa: RUF001
    assert "| +0.004 (−0.011 to 0.019) | −0.005 (−0.011 to 0.019) |" in page()  # noqa: RUF001


def test_hostile_text_is_text(page, folder):
    seen = Reader(html("title", page(), folder))
    safe = Reader(html("title", page().replace(plain(HOSTILE), "harmless"), folder))
    assert seen.elements == safe.elements
    assert seen.text.count(" ".join(HOSTILE.split())) == 5
    assert (
        "i"
        not in Reader(html("title", "<i>not even if it got into the Markdown</i>", folder)).elements
    )
    assert not re.search(r"(?<!\\)<", page())  # raw HTML where others render the Markdown
    assert plain("http://a www.b") == r"http\://a www\.b"  # else GitHub makes links of them
    assert plain("\x00\x85a\x1b\x9b") == "\ufffd a\ufffd\ufffd"


def test_the_name_of_a_label_or_of_the_data_is_text_too(settings, coverage):
    pages = []
    for text in (HOSTILE, "harmless"):
        data = DATA | {"labels": [f"{text} 0", f"{text} 1"], "name": text, "test": [5, 20]}
        tables = {n: pd.DataFrame(r, columns=COLUMNS[n]) for n, r in TABLES.items()}
        tables["classes"]["class"] = data["labels"] * 3
        written = markdown(settings(), RESULT, coverage, data, tables)
        pages.append(Reader(html("title", re.sub(r"!\[.*?\]\(figures.*?\)", "", written), None)))
    assert pages[0].elements == pages[1].elements
    assert pages[0].references == []


def test_the_html_refers_to_nothing_outside_itself(page, folder):
    shown = html("title", page(), folder)
    assert len(Reader(shown).references) == 7
    assert all(link.startswith("data:image/png;base64,") for link in Reader(shown).references)
    assert "url(" not in shown
    assert "@import" not in shown


def test_long_parts_are_folded(page, folder):
    shown = html("title", page(), folder)
    assert shown.count("<details>") == shown.count("</details>") == 6
    folded = "".join(re.findall("<details>.*?</details>", shown, re.DOTALL))
    assert "<h2>" not in folded
    assert "<blockquote>" in folded
    assert "train.learning_rate" in folded


def test_quoted_texts_and_words_run_in_their_own_direction(page, folder):
    shown = html("title", page(), folder)
    paragraphs = re.findall(r"<p([^>]*)>(.)", shown)
    assert {first: attributes for attributes, first in paragraphs}["“"] == ' dir="auto"'
    assert all(not attributes for attributes, first in paragraphs if first != "“")
    assert shown.count("<td") == len(re.findall('<td [^>]*dir="auto"', shown)) > 0


@pytest.mark.parametrize(
    ("without", "gone"),
    [
        (["pictured"], ["figures/words.png"]),
        (["moved"], ["moved most"]),
        (["pictured", "neighbours", "moved"], ["What the vectors did"]),
        (["disagreements"], ["Errors to read"]),
        (["classes"], ["Label by label", "figures/confusion.png"]),
        (["calibration"], ["figures/calibration.png"]),
        (["lengths"], ["Short and long texts", "figures/lengths.png"]),
    ],
)
def test_a_missing_table_leaves_its_section_out(page, without, gone):
    assert all(part in page() for part in gone)
    assert not any(part in page(*without) for part in gone)


def test_an_empty_table_is_a_missing_one(settings, coverage, page):
    empty = {name: pd.DataFrame(columns=columns) for name, columns in COLUMNS.items()}
    text = markdown(settings(), RESULT, coverage, DATA, empty)
    assert text == page(*TABLES)


def test_neighbours_stand_side_by_side(page):
    assert "| **good** | the, of | great, fine |" in page()
    assert "| **bad** | worst, poor | *the same* |" in page()


def test_the_same_numbers_give_the_same_bytes_in_any_folder(page, folder, tmp_path_factory):
    other = folder.rename(tmp_path_factory.mktemp("elsewhere") / "metrics")
    shown = html("title", page(), other)
    other.rename(folder)
    assert shown == html("title", page(), folder)
    assert str(folder) not in shown


def test_every_parameter_is_told_but_no_secret_and_no_folder(settings, page):
    own = settings(
        download__texts={"source": "table", "path": "/home/me/secret/mine.csv"},
        download__vectors__glove={
            "source": "word2vec",
            "path": "HTTPS://user:pass@host.example/v.bin?token=1#x",
        },
    )
    text = page(of=own)
    assert not re.search("secret|user|pass@|token=1|#x", text)
    assert "| download.texts.path | mine.csv |" in text
    assert text.count(r"HTTPS\://\*\*\*@host.example/v.bin?token=\*\*\* |") == 2
    assert r"| tokenize.num\_words | 10000 |" in text
    assert r"| download.vectors.glove.vocabulary\_limit | null |" in text


def test_errors_to_read_are_in_the_order_of_their_table():
    rows = TABLES["disagreements"][::-1]
    tables = {"disagreements": pd.DataFrame(rows, columns=COLUMNS["disagreements"])}
    heads = [block for block in mistakes(tables, ["ham", "spam"]) if block.startswith("### ")]
    assert heads == [
        "### Pretrained right, learned wrong (1)", "### Learned right, pretrained wrong (1)",
    ]  # fmt: skip
