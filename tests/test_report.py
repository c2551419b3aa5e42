"""report: what the page answers, and that nobody's text or secret gets through it."""

import json
import re
from html.parser import HTMLParser

import pandas as pd
import pytest
import yaml

from stages import report
from stages.shared import params

ACCOUNTS = {"train_reviews": 20_000, "test_reviews": 5_000}
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
    "disagreements": [("learned right, pretrained wrong", 7, 1, 0.81, 0.12, HOSTILE)],
    "lengths": [("learned", 1, 99, 3000, 0.5), ("pretrained", 1, 99, 3000, 0.625)],
}
COLUMNS = {
    "neighbours": ["variant", "matrix", "word", "neighbours"],
    "moved": ["variant", "word", "distance", "before", "after"],
    "disagreements": ["kind", "review", "label", "learned", "pretrained", "text"],
    "lengths": ["variant", "words_from", "words_to", "reviews", "accuracy"],
}


@pytest.fixture
def settings(project):
    """The project's parameters, with sections or variants changed."""

    def change(variants: dict | None = None, **changes: dict) -> params.Params:
        content = yaml.safe_load((project / "params.yaml").read_text())
        content["variants"] |= variants or {}
        for key, values in changes.items():
            section = content
            for part in key.split("__"):
                section = section[part]
            section.update(values)
        return params.Params.model_validate(content)

    return change


@pytest.fixture
def coverage(project):
    return json.loads((project / "metrics/coverage.json").read_text())


@pytest.fixture
def folder(tmp_path):
    """A folder with all pictures that a page can have."""
    (tmp_path / "figures").mkdir()
    for name in ("comparison", "accuracy", "loss", "words", "calibration", "lengths"):
        (tmp_path / f"figures/{name}.png").write_bytes(name.encode())
    return tmp_path


def evaluation(**gaps: tuple) -> dict:
    """metrics/evaluation.json of learned at 0.6 and variants with (gap, low, high)."""
    spread = None if any(low is None for _, low, _ in gaps.values()) else 0.01
    rest = {"log_loss": 0.6, "roc_auc": 0.65, "accuracy_std": spread}
    keys = ("accuracy", "accuracy_low", "accuracy_high")
    return {
        "learned": {"accuracy": 0.6, **rest},
        **{name: {"accuracy": 0.6 + gap[0], **rest} for name, gap in gaps.items()},
        "gap": {
            f"{name}-learned": dict(zip(keys, gap, strict=True)) | {"mcnemar_p": 0.02}
            for name, gap in gaps.items()
        },
    }


WON, LOST = (0.042, 0.026, 0.058), (-0.023, -0.034, -0.012)
UNDECIDED = (0.004, -0.011, 0.019)
RESULT = evaluation(pretrained=WON, finetuned=UNDECIDED)


@pytest.fixture
def page(settings, coverage):
    """Writes the page with all tables but those named, or for other parameters."""

    def write(*without: str, of: params.Params | None = None) -> str:
        tables = {
            name: pd.DataFrame(rows, columns=COLUMNS[name])
            for name, rows in TABLES.items()
            if name not in without
        }
        return report.markdown(of or settings(), RESULT, coverage, ACCOUNTS, tables)

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
        (WON, WON, "**Yes:** with 200 labelled reviews, `pretrained` beats `learned` by 4.2 points "
         "of test accuracy (95 % interval 2.6 to 5.8), and `finetuned` beats `learned` by 4.2 "
         "points (2.6 to 5.8). "),
        (LOST, UNDECIDED, "**No:** with 200 labelled reviews, `pretrained` loses to `learned` by "
         "2.3 points of test accuracy (95 % interval 1.2 to 3.4), and `finetuned` can't be told "
         "apart from `learned` (−1.1 to 1.9 points). "),  # noqa: RUF001
        (UNDECIDED, UNDECIDED, "**Undecided:** with 200 labelled reviews, `pretrained` can't be "
         "told apart from `learned` (95 % interval −1.1 to 1.9 points of test accuracy), and "  # noqa: RUF001
         "`finetuned` can't "),
        (LOST, WON, "**In part:** "),
        (WON, (0.01, 0.0001, 0.02), "**Yes:** with 200 labelled reviews, `pretrained` beats "
         "`learned` by 4.2 points of test accuracy (95 % interval 2.6 to 5.8), and `finetuned` "
         "beats `learned` by 1.0 points (0.01 to 2.0). "),
    ],
)  # fmt: skip
def test_the_answer_says_who_beats_whom_and_how_sure_that_is(
    settings, pretrained, finetuned, expected
):
    result = evaluation(pretrained=pretrained, finetuned=finetuned)
    assert report.answer(settings(), result, 5000).startswith(expected)


def test_one_repeat_says_nothing_about_other_draws(settings, coverage):
    one = settings(train={"repeats": 1})
    result = evaluation(pretrained=(0.042, None, None), finetuned=(-0.01, None, None))
    assert report.answer(one, result, 5000).startswith(
        "With one draw of 200 labelled reviews, `pretrained` reads 4.2 points of test accuracy "
        "above `learned`, and `finetuned` reads 1.0 points below `learned`, which says nothing "
        "about other draws. "
    )
    same = evaluation(pretrained=(0.0, None, None), finetuned=(0.01, None, None))
    assert "`pretrained` reads the same test accuracy as `learned`" in report.answer(one, same, 9)
    text = report.markdown(one, result, coverage, ACCOUNTS, {})
    assert "± " not in text
    assert "None" not in text


def test_a_variant_of_ones_own_is_compared_but_answers_only_with_pretrained_vectors(settings):
    own = settings(variants={"noise": {"vectors": "random", "trainable": False}})
    answer = report.answer(
        own, evaluation(pretrained=WON, finetuned=WON, noise=LOST), test_reviews=5000
    )
    assert answer.startswith("**Yes:** ")
    assert (
        ", `finetuned` beats `learned` by 4.2 points (2.6 to 5.8), and `noise` loses to" in answer
    )


def test_learned_alone_has_nothing_to_be_compared_with(settings, coverage):
    alone = settings().model_copy(update={"variants": {"learned": settings().variants["learned"]}})
    text = report.markdown(alone, evaluation(), coverage, ACCOUNTS, {})
    assert "Only `learned` was trained" in text


@pytest.mark.parametrize(
    ("area", "grade"),
    [(0.95, "outstanding"), (0.85, "excellent"), (0.75, "acceptable"), (0.6, "not much better"),
     (0.5, "no better than a coin toss"), (0.0, "no better than a coin toss")],
)  # fmt: skip
def test_the_answer_is_two_sentences_and_the_second_says_how_good_the_best_is(
    settings, area, grade
):
    result = evaluation(pretrained=WON, finetuned=LOST)
    result["pretrained"]["roc_auc"] = area
    answer = report.answer(settings(), result, 5000)
    assert len(re.findall(r"\.(?: |$)", answer)) == 2
    second = answer.split(". ", 1)[1]
    assert "`pretrained`, labels 64.2 % of the 5,000 test reviews right" in second
    assert grade in second


def test_a_gap_is_bold_where_its_interval_leaves_out_zero(page):
    assert "| **+0.042** (0.026 to 0.058) | 0.02 |" in page()
    assert "| +0.004 (−0.011 to 0.019) | 0.02 |" in page()  # noqa: RUF001


def test_hostile_text_is_text(page, folder):
    seen = Reader(report.html(page(), folder))
    safe = Reader(report.html(page().replace(report.plain(HOSTILE), "harmless"), folder))
    assert seen.elements == safe.elements
    assert seen.text.count(" ".join(HOSTILE.split())) == 5
    assert (
        "i"
        not in Reader(report.html("<i>not even if it got into the Markdown</i>", folder)).elements
    )
    assert not re.search(r"(?<!\\)<", page())  # raw HTML where others render the Markdown
    assert report.plain("http://a www.b") == r"http\://a www\.b"  # else GitHub makes links of them
    assert report.plain("\x00\x85a\x1b\x9b") == "\ufffd a\ufffd\ufffd"


def test_the_html_refers_to_nothing_outside_itself(page, folder):
    html = report.html(page(), folder)
    assert len(Reader(html).references) == 6
    assert all(link.startswith("data:image/png;base64,") for link in Reader(html).references)
    assert "url(" not in html
    assert "@import" not in html


def test_long_parts_are_folded(page, folder):
    html = report.html(page(), folder)
    assert html.count("<details>") == html.count("</details>") == 5
    folded = "".join(re.findall("<details>.*?</details>", html, re.DOTALL))
    assert "<h2>" not in folded
    assert "<blockquote>" in folded
    assert "train.learning_rate" in folded


@pytest.mark.parametrize(
    ("without", "gone"),
    [
        (["neighbours"], ["figures/words.png"]),
        (["moved"], ["moved most"]),
        (["neighbours", "moved"], ["What the vectors did"]),
        (["disagreements"], ["Errors to read", "figures/calibration.png"]),
        (["lengths"], ["Short and long reviews", "figures/lengths.png"]),
    ],
)
def test_a_missing_table_leaves_its_section_out(page, without, gone):
    assert all(part in page() for part in gone)
    assert not any(part in page(*without) for part in gone)


def test_an_empty_table_is_a_missing_one(settings, coverage, page):
    empty = {name: pd.DataFrame(columns=columns) for name, columns in COLUMNS.items()}
    text = report.markdown(settings(), RESULT, coverage, ACCOUNTS, empty)
    assert text == page(*TABLES)


def test_neighbours_stand_side_by_side(page):
    assert "| **good** | the, of | great, fine |" in page()
    assert "| **bad** | worst, poor | *the same* |" in page()


def test_the_same_numbers_give_the_same_bytes_in_any_folder(page, folder, tmp_path_factory):
    other = folder.rename(tmp_path_factory.mktemp("elsewhere") / "metrics")
    html = report.html(page(), other)
    other.rename(folder)
    assert html == report.html(page(), folder)
    assert str(folder) not in html


def test_every_parameter_is_told_but_no_secret_and_no_folder(settings, page):
    own = settings(
        download__reviews={"source": "table", "path": "/home/me/secret/mine.csv"},
        download__vectors={
            "source": "word2vec",
            "path": "HTTPS://user:pass@host.example/v.bin?token=1#x",
        },
    )
    text = page(of=own)
    assert not re.search("secret|user|pass@|token=|#x", text)
    assert "| download.reviews.path | mine.csv |" in text
    assert text.count(r"HTTPS\://host.example/v.bin |") == 2
    assert r"| tokenize.num\_words | 10000 |" in text
    assert r"| download.vectors.vocabulary\_limit | null |" in text
