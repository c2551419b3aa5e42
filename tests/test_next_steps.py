"""The report's advice: what it says of metrics/planning.json, and when it says nothing."""

import pytest
import yaml

from stages.report.next_steps import next_steps
from stages.shared.schema import Params

DATA = {"labels": ["ham", "spam"], "train": [9_000, 11_000], "test": [2_800, 2_200]}
EVALUATION = {
    name: {"largest_share": 0.6} for name in ("learned", "pretrained", "finetuned", "tfidf")
}
PLAN = {
    "gap": 0.042, "half_width": 0.016, "chance": 0.874, "smallest_gap": 0.0213, "draws": 12,
    "half_width_of_any_draws": 0.005, "test_texts": None,
}  # fmt: skip
REACHED = {**PLAN, "half_width": 0.009, "draws": 4}
FEW_TEXTS = {**PLAN, "draws": None, "test_texts": 9605, "half_width_of_any_draws": 0.012}
OVERLAP = {**FEW_TEXTS, "test_texts": None}


@pytest.fixture
def section(project):
    """Writes the section; the two that are not given are as `finetuned` is."""

    def write(pretrained=PLAN, finetuned=PLAN, best=("tfidf", "finetuned"), repeats=5, **changes):
        content = yaml.safe_load((project / "params.yaml").read_text())
        content["train"]["repeats"] = repeats
        content["variants"] = {name: content["variants"][name] for name in EVALUATION}
        settings = Params.model_validate(content)
        gap = {"pretrained": pretrained, "finetuned": finetuned, "tfidf": finetuned}
        planning = {
            "gap": {f"{name}-learned": plan for name, plan in gap.items()},
            "best": {"variant": best[0], "second": best[1], **finetuned},
        }
        coverage = {"glove": {"share_of_tokens": changes.get("share_of_tokens", 0.97)}}
        evaluation = EVALUATION | changes.get("evaluation", {})
        return "\n\n".join(
            next_steps(settings, evaluation, coverage, changes.get("data", DATA), planning)
        )

    return write


def test_each_gap_has_a_row_and_the_best_two_one_of_their_own(section):
    text = section()
    rows = [line for line in text.splitlines() if line.startswith("| `")]
    assert rows[0] == "| `pretrained` against `learned` | 4.2 ± 1.6 | 87 % | 2.1 | 12 |"
    assert [row.split("|")[1].strip() for row in rows[1:]] == [
        "`finetuned` against `learned`", "`tfidf` against `learned`", "`tfidf` against `finetuned`",
    ]  # fmt: skip
    assert "The last row compares the two of the highest accuracy." in text
    for pair in (("tfidf", "learned"), ("learned", "tfidf")):  # it is among the others
        text = section(best=pair)
        assert text.count("| `") == 3
        assert "The last row" not in text


@pytest.mark.parametrize(
    ("chance", "said"),
    [
        (1.0, "over 99 %"),
        (0.9951, "over 99 %"),
        (0.9949, "99 %"),
        (0.5, "50 %"),
        (0.0, "under 1 %"),
    ],
)
def test_no_chance_is_called_certain(section, chance, said):
    assert f"| {said} |" in section({**PLAN, "chance": chance})


@pytest.mark.parametrize(
    ("pretrained", "finetuned", "said"),
    [
        (PLAN, {**PLAN, "draws": 1200}, "To know every gap to ± 1 point, set `train.repeats` to "
         "1,200."),
        (REACHED, REACHED, "Every gap is known to ± 1 point: that takes no more draws."),
        (FEW_TEXTS, PLAN, "For `pretrained` against `learned`, no number of draws gives ± 1 point:"
         " it takes more than 9,604 test texts. To know every other gap to ± 1 point, set "
         "`train.repeats` to 12."),
        (FEW_TEXTS, REACHED, "test texts. Every other gap is known to ± 1 point: "),
        (OVERLAP, REACHED, "For `pretrained` against `learned`, no number of draws or test texts "
         "gives ± 1 point, since the draws share too many texts: it takes more texts to draw from."
         " Every other gap is known"),
    ],
)  # fmt: skip
def test_the_advice_is_how_many_draws_or_test_texts_it_takes(section, pretrained, finetuned, said):
    text = section(pretrained, finetuned)
    assert said in text
    assert text.endswith(
        " Add draws until the intervals are narrow, not until a gap is significant."
    )
    assert ("| no number |" in text) == (pretrained["draws"] is None)


def test_it_says_what_it_speaks_of_and_how_rough_it_is(section):
    text = section()
    assert "another 200 texts of this train split, and scored on these test texts" in text
    # chi-squared of 4 degrees: 0.484 and 11.143; of 1 degree: 0.000982 and 5.024
    assert "may be 0.6 to 2.9 times the measured one" in text
    assert "may be 0.4 to 31.9 times the measured one" in section(repeats=2)


def test_one_draw_asks_for_a_second(section):
    none = dict.fromkeys(PLAN) | {"gap": 0.02}
    text = section(none, none, repeats=1)
    assert "It takes two draws at least: set `train.repeats` to 2 or more." in text
    assert "|" not in text
    assert "None" not in text


def test_one_group_of_test_texts_asks_for_others(section):
    none = dict.fromkeys(PLAN) | {"gap": 0.02}
    text = section(none, none)
    assert "All test texts are of one group" in text
    assert "|" not in text


ONE_LABEL = {"largest_share": 0.99}


def test_there_is_no_advice_on_a_gap_with_a_doubt(section):
    text = section(share_of_tokens=0.1)
    assert (
        "**No advice** on `pretrained` against `learned`, `finetuned` against `learned`, and "
        "`tfidf` against `finetuned`: only 10.0 % of the train split's words have a vector in"
    ) in text
    assert [line.split("|")[1] for line in text.splitlines() if line.startswith("| `")] == [
        " `tfidf` against `learned` "
    ]
    text = section(evaluation={"tfidf": ONE_LABEL})
    assert "**No advice** on `tfidf` against `learned`, and `tfidf` against `finetuned`: " in text
    assert text.count("| `") == 2


@pytest.mark.parametrize(
    "changes", [{"evaluation": {"learned": ONE_LABEL}}, {"data": DATA | {"test": [29, 400]}}]
)
def test_where_all_is_doubtful_nothing_is_advised(section, changes):
    text = section(**changes)
    assert "**No advice** on " in text
    assert "|" not in text
    assert "train.repeats" not in text


def test_the_name_of_a_label_stays_text_in_a_doubt(section):
    text = section(data=DATA | {"labels": ["ham", "<b>*x*"], "test": [400, 29]})
    assert r"29 labelled \<b>\*x\*" in text
