"""The learning curve joins what can be compared, and finds where the gap changes its sign."""

import numpy as np
import pandas as pd
import pytest

from experiments import learning_curve as lc


def run(name, samples, head="flatten", gap=0.1, half=0.05, seed=0, **others):
    """A row as dvc.api.exp_show gives it."""
    return {
        "Experiment": name, "rev": f"rev-{name}", "seed": seed, "train.samples": samples,
        "train.repeats": 5, "model.head": head, "data/raw/reviews.parquet": "a",
        "learned.accuracy": 0.6, "learned.accuracy_std": 0.01,
        "pretrained.accuracy": 0.6 + gap, "pretrained.accuracy_std": 0.02,
        "gap.pretrained-learned.accuracy": gap,
        "gap.pretrained-learned.accuracy_low": gap - half,
        "gap.pretrained-learned.accuracy_high": gap + half,
    } | others  # fmt: skip


def test_only_runs_that_differ_in_what_was_swept_are_joined_and_others_are_named():
    rows = [run(f"r{n}{head}", n, head) for n in (100, 200) for head in ("flatten", "mean")]
    rows += [
        run("seeded", 400, seed=1),
        run("other", 400, **{"data/raw/reviews.parquet": "b"}),
        run("unfinished", 800, **{"gap.pretrained-learned.accuracy": "None"}),
        run("twice", 100),
        run("failed", 800, State="Failed"),
        run("queued", 800, State="Queued"),
        run(None, 800) | {"rev": "workspace"},
    ]
    runs, left_out = lc.collect(rows, "train.samples", "model.head")
    assert runs["Experiment"].tolist() == ["r100flatten", "r200flatten", "r100mean", "r200mean"]
    assert left_out == [
        "seeded is left out: another seed",
        "other is left out: another data/raw/reviews.parquet",
    ]


def test_without_a_finished_run_it_says_so():
    for rows in ([run("a", 1) | {"rev": "workspace"}], [run("a", 1)]):
        with pytest.raises(ValueError, match=r"no finished experiment has tokenize\.maxlen"):
            lc.collect(rows, "tokenize.maxlen", "model.head")


def test_a_curve_has_a_row_for_each_run_and_variant_with_its_band():
    table = lc.curve(pd.DataFrame([run("a", 100), run("b", 200)]), "train.samples", "model.head")
    assert table[["train.samples", "variant"]].to_numpy().tolist() == [
        [100, "learned"], [100, "pretrained"], [200, "learned"], [200, "pretrained"],
    ]  # fmt: skip
    row = table.iloc[1]
    assert (row["gap"], row["gap_low"], row["gap_high"]) == (0.1, 0.05, 0.15)
    half = 2.776445 * 0.02 / np.sqrt(5)
    assert row["accuracy_high"] == pytest.approx(0.7 + half, abs=1e-4)


def test_a_variant_that_only_other_runs_have_is_in_no_row():
    more = {"more.accuracy": 0.5, "more.accuracy_std": 0.1, "variants.more.vectors": "glove"}
    less = dict.fromkeys(more, "None")
    rows = [run("a", 100, **less), run("b", 200, **less), run("other", 400, **more)]
    runs, left_out = lc.collect(rows, "train.samples", "model.head")
    assert left_out == ["other is left out: another variants.more.vectors"]
    table = lc.curve(runs, "train.samples", "model.head")
    assert table["variant"].tolist() == ["learned", "pretrained"] * 2


def gaps(gap, low, high, sizes=(100, 1000, 10_000)):
    columns = {"train.samples": sizes, "gap": gap, "gap_low": low, "gap_high": high}
    return pd.DataFrame(columns)


def test_the_crossing_and_its_interval_are_straight_over_the_logarithm_of_the_size():
    table = gaps([0.1, 0.0001, -0.1], [0.05, -0.05, -0.15], [0.15, 0.05, -0.05])
    assert lc.crossings(table, "train.samples") == [pytest.approx(1000, rel=0.01)]
    (*won, low), (*open_, high), lost = lc.regions(table, "train.samples")
    assert won == [1, 100]
    assert low == pytest.approx(np.sqrt(100 * 1000), rel=0.01)
    assert open_ == [0, low]
    assert high == pytest.approx(np.sqrt(1000 * 10_000), rel=0.01)
    assert lost == (-1, high, 10_000)


@pytest.mark.parametrize(
    ("gap", "half", "said"),
    [
        (
            [0.1, 0.0001, -0.1],
            0.05,
            "pretrained wins below 317, learned wins above 3,166, and between them we can't tell"
            " (the lines cross at 1,002).",
        ),
        (
            [0.1, -0.1, 0.1],
            0.05,
            "pretrained wins below 178, learned wins from 562 to 1,778, pretrained wins above"
            " 5,623, elsewhere we can't tell (the lines cross at 316 and 3,162).",
        ),
        ([0.0, 0.2, 0.2], 0.1, "pretrained wins above 316, elsewhere we can't tell."),
        (
            [-0.2, 0, -0.2],
            0.1,
            "learned wins below 316, and above 3,162, and between them we can't tell.",
        ),
        ([-0.2, -0.3, -0.2], 0.1, "learned wins at every size."),
        ([0.1, 0.1, 0.1], 0.2, "no difference is certain at any size."),
        ([0.1, 0.1, 0.1], np.nan, "too few sizes with an interval."),
    ],
)
def test_a_sentence_says_who_wins_where_and_where_it_cant_be_told(gap, half, said):
    gap = np.array(gap)
    found = lc.sentence("pretrained", gaps(gap, gap - half, gap + half), "train.samples")
    assert found == f"pretrained against learned: {said}"


def test_the_figure_and_the_report_show_every_panel(tmp_path):
    rows = [run(f"{n}{h}", n, h, gap=0.1 - n / 2000) for n in (100, 400) for h in ("flat", "mean")]
    table = lc.curve(
        lc.collect(rows, "train.samples", "model.head")[0], "train.samples", "model.head"
    )
    lc.draw(table, "train.samples", "model.head", tmp_path / "curve.png")
    assert (tmp_path / "curve.png").stat().st_size > 10_000
    text = lc.report(table, "train.samples", "model.head")
    assert "### model.head flat\n" in text
    assert "### model.head mean\n" in text
    assert "| 400 | 0.600 | 0.500 | -0.100 (-0.150 to -0.050) |" in text
