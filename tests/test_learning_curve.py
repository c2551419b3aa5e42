"""The learning curve joins what can be compared, and finds where the gap changes its sign."""

import numpy as np
import pandas as pd
import pytest

from experiments import learning_curve as lc
from experiments import runs
from stages.shared.errors import InputError

SWEPT, PANELS = "train.samples", ["model.head"]
DATA = {"name": "mine.csv", "labels": ["neg", "pos"], "train": [160, 160], "test": [40, 40]}
ABOUT = "mine.csv: 400 texts (320 to train on, 80 to test on), labels neg and pos"


def run(name, samples, head="flatten", gap=0.1, half=0.05, seed=0, **others):
    """A row as dvc.api.exp_show gives it."""
    return {
        "Experiment": name, "rev": f"rev-{name}", "seed": seed, "train.samples": samples,
        "train.repeats": 5, "model.head": head, "data/raw/texts.parquet": "a",
        "learned.accuracy": 0.6, "learned.accuracy_std": 0.01,
        "pretrained.accuracy": 0.6 + gap, "pretrained.accuracy_std": 0.02,
        "gap.pretrained-learned.accuracy": gap,
        "gap.pretrained-learned.accuracy_low": gap - half,
        "gap.pretrained-learned.accuracy_high": gap + half,
        "variants.learned.vectors": "random", "variants.pretrained.vectors": "glove",
        "learned.largest_share": 0.5, "pretrained.largest_share": 0.5, "glove.share_of_tokens": 0.9,
    } | others  # fmt: skip


def test_only_runs_that_differ_in_what_was_swept_are_joined_and_others_are_named():
    rows = [run(f"r{n}{head}", n, head) for n in (100, 200) for head in ("flatten", "mean")]
    rows += [
        run("seeded", 400, seed=1),
        run("other", 400, **{"data/raw/texts.parquet": "b"}),
        run("unfinished", 800, **{"gap.pretrained-learned.accuracy": "None"}),
        run("twice", 100),
        run("failed", 800, State="Failed"),
        run("queued", 800, State="Queued"),
        run(None, 800) | {"rev": "workspace"},
    ]
    largest, *others = runs.groups(runs.collect(rows, [], SWEPT, PANELS), SWEPT, PANELS)
    assert largest["Experiment"].tolist() == ["r100flatten", "r200flatten", "r100mean", "r200mean"]
    assert [*runs.left_out(largest, others, SWEPT, PANELS)] == [
        "seeded is left out: another seed",
        "other is left out: another data/raw/texts.parquet",
    ]


@pytest.mark.parametrize("name", ["train", "model", "embed", "variants", "seed"])
def test_a_metric_under_the_name_of_a_section_parts_no_runs(name):
    rows = [
        run(str(n), n, **{f"{name}.share_of_tokens": n / 500, f"{name}.accuracy": n / 600})
        for n in (100, 200)
    ]
    assert len(runs.groups(runs.collect(rows, [], SWEPT, PANELS), SWEPT, PANELS)) == 1


def test_of_named_runs_no_other_joins_the_curve():
    rows = [run(name, n) for name, n in [("a", 100), ("b", 200), ("other", 400)]]
    [group] = runs.groups(runs.collect(rows, ["b", "a"], SWEPT, PANELS), SWEPT, PANELS)
    assert group["Experiment"].tolist() == ["a", "b"]
    with pytest.raises(InputError, match="no finished experiment is called c"):
        runs.collect(rows, ["a", "c"], SWEPT, PANELS)


def test_without_a_finished_run_it_says_so():
    for rows in ([run("a", 1) | {"rev": "workspace"}], [run("a", 1)], []):
        with pytest.raises(InputError, match=r"no finished experiment has tokenize\.maxlen"):
            runs.collect(rows, [], "tokenize.maxlen", PANELS)


def test_other_vectors_are_compared_where_they_were_swept():
    dims = {"download.vectors.glove.dim": 50, "data/raw/vectors": "x"}
    rows = [run("a", 100, **dims), run("b", 100, **{key: 2 * dims[key] for key in dims})]
    found = [
        runs.groups(runs.collect(rows, [], SWEPT, panels), SWEPT, panels)
        for panels in (["download.vectors.glove.dim"], PANELS)
    ]
    assert [len(groups) for groups in found] == [1, 2]


def test_a_curve_has_a_row_for_each_run_and_variant_with_its_band():
    table = lc.curve(pd.DataFrame([run("a", 100), run("b", 200)]), SWEPT, PANELS, DATA)
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
    largest, *others = runs.groups(runs.collect(rows, [], SWEPT, PANELS), SWEPT, PANELS)
    assert [*runs.left_out(largest, others, SWEPT, PANELS)] == [
        "other is left out: another variants.more.vectors"
    ]
    table = lc.curve(largest, SWEPT, PANELS, DATA)
    assert table["variant"].tolist() == ["learned", "pretrained"] * 2


def gaps(gap, low, high, sizes=(100, 1000, 10_000)):
    columns = {"train.samples": sizes, "gap": gap, "gap_low": low, "gap_high": high}
    return pd.DataFrame(columns | {"doubt": ""})


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
            "pretrained wins below 317, learned wins above 3,166, and between them no winner is"
            " significant (the lines cross at 1,002).",
        ),
        (
            [0.1, -0.1, 0.1],
            0.05,
            "pretrained wins below 178, learned wins from 562 to 1,778, pretrained wins above"
            " 5,623, elsewhere no winner is significant (the lines cross at 316 and 3,162).",
        ),
        ([0.0, 0.2, 0.2], 0.1, "pretrained wins above 316, elsewhere no winner is significant."),
        (
            [-0.2, 0, -0.2],
            0.1,
            "learned wins below 316, and above 3,162, and between them no winner is significant.",
        ),
        ([-0.2, -0.3, -0.2], 0.1, "learned wins at every size."),
        ([0.1, 0.1, 0.1], 0.2, "no difference is significant at any size."),
        ([0.1, 0.1, 0.1], np.nan, "too few sizes with an interval."),
    ],
)
def test_a_sentence_says_who_wins_where_and_where_it_cant_be_told(gap, half, said):
    gap = np.array(gap)
    found = lc.sentence("pretrained", gaps(gap, gap - half, gap + half), "train.samples")
    assert found == f"pretrained against learned: {said}"


@pytest.mark.parametrize(
    ("doubtful", "said"),
    [
        (
            [0],
            "learned wins above 3,166, elsewhere no winner is significant (the lines cross at"
            " 1,002).",
        ),
        (
            [1],
            "pretrained wins at 100, learned wins at 10,000, and between them no winner is"
            " significant.",
        ),
        ([0, 2], "no difference is significant at any size."),
        ([0, 1, 2], "no answer at any size."),
    ],
)
def test_a_point_with_a_doubt_makes_no_winner(doubtful, said):
    gap = np.array([0.1, 0.0001, -0.1])
    table = gaps(gap, gap - 0.05, gap + 0.05)
    table.loc[doubtful, "doubt"] = "`learned` gives nearly every text the same label"
    assert lc.sentence("pretrained", table, SWEPT) == f"pretrained against learned: {said}"


def test_a_doubt_names_the_file_in_which_a_key_of_embed_looks_words_up():
    little = {"variants.pretrained.vectors": "joined", "joined.share_of_tokens": 0.1}
    row = run("a", 100, **little, **{"embed.joined.vectors": "glove"})
    assert lc.doubts_of(pd.Series(row), "pretrained", DATA) == [
        "only 10.0 % of the train split's words have a vector in glove"
    ]


def test_why_no_winner_is_named_stands_under_the_table():
    doubtful = {"learned.largest_share": 0.99, "glove.share_of_tokens": 0.1}
    rows = [
        run("a", 100, **doubtful),
        run("b", 200, **{"glove.share_of_tokens": 0.1}),
        run("c", 400),
    ]
    data = DATA | {"labels": ["neg", "*pos*"], "test": [40, 8]}
    table = lc.curve(pd.DataFrame(rows), SWEPT, PANELS, data)
    *_, last = lc.report(table, SWEPT, PANELS, "title").strip().splitlines()
    assert last.startswith("No winner is named where there is doubt: ")
    assert "at 100, 200 only 10.0" in last.replace("\\", "")
    assert "at 100 learned gives nearly every text the same label" in last.replace("`", "").replace(
        "\\", ""
    )
    assert "everywhere " in last
    assert "\\*pos\\*" in last
    older = pd.DataFrame([run("a", 100), run("b", 200)]).drop(
        columns=["learned.largest_share", "pretrained.largest_share", "glove.share_of_tokens"]
    )
    empty = DATA | {"labels": [], "train": [], "test": []}
    assert not lc.curve(older, SWEPT, PANELS, empty)["doubt"].any()


def test_the_figure_and_the_report_show_every_panel_and_name_the_data(tmp_path):
    rows = [run(f"{n}{h}", n, h, gap=0.1 - n / 2000) for n in (100, 400) for h in ("flat", "mean")]
    table = lc.curve(runs.groups(pd.DataFrame(rows), SWEPT, PANELS)[0], SWEPT, PANELS, DATA)
    lc.draw(table, SWEPT, PANELS, runs.about(DATA), tmp_path / "curve.png")
    assert (tmp_path / "curve.png").stat().st_size > 10_000
    text = lc.report(table, SWEPT, PANELS, runs.about(DATA))
    assert text.splitlines()[0] == f"# {ABOUT}"
    assert "### model.head flat\n" in text
    assert "### model.head mean\n" in text
    assert "| 400 | 0.600 | 0.500 | -0.100 (-0.150 to -0.050) |" in text


@pytest.mark.parametrize(
    ("swept", "values", "said"),
    [
        ("train.learning_rate", [0.001, 0.01, 0.1], "wins below 0.003166, learned wins above 0.03"),
        ("train.word_dropout", [0.0, 0.25, 0.5], "wins below 0.1251, learned wins above 0.375"),
        ("model.head", ["conv", "flatten", "mean"], "wins at conv, learned wins at mean, else"),
        ("variants.pretrained.trainable", [False, True], "wins at false, learned wins at true."),
        ("download.vectors.glove.vocabulary_limit", [None, 10], "wins at null."),
    ],
)
def test_any_parameter_can_be_swept(tmp_path, swept, values, said):
    size_of_gap = [0.1, 0.0001, -0.1] if len(values) == 3 else [0.1, -0.1]
    rows = [
        run(f"r{n}", 100, gap=gap, **{swept: value}) | {swept: value}
        for n, (value, gap) in enumerate(zip(values, size_of_gap, strict=True))
    ]
    [group] = runs.groups(pd.DataFrame(rows), swept, [])
    table = lc.curve(group, swept, [], DATA)
    text = lc.report(table, swept, [], "title")
    assert f"pretrained {said}" in text
    for value, gap in zip(values, size_of_gap, strict=True):
        assert f"| {runs.written(value)} | 0.600 | {0.6 + gap:.3f} | {gap:+.3f} (" in text
    lc.draw(table, swept, [], "title", tmp_path / "curve.png")


def test_a_single_run_fits_a_terminal():
    rows = [run("a", 1000, "mean", gap=-0.1)]
    title = runs.about(DATA | {"labels": ["\x1b[2J" + "long" * 30, "pos"]}, "strong")
    text = lc.result(lc.curve(pd.DataFrame(rows), SWEPT, PANELS, DATA), [SWEPT, *PANELS], title)
    assert all(len(line) < 80 for line in text.splitlines())
    assert "\x1b" not in text
    assert "mine.csv, setting strong: 400 texts" in text
    assert "train.samples 1,000, model.head mean" in " ".join(text.split())
    pretrained = text.splitlines()[-1]
    assert pretrained.split("  ")[-1] == "gap -0.100 (-0.150 to -0.050)"


def test_a_curve_overwrites_its_own_and_no_other(tmp_path):
    def folder(*rows):
        table = pd.DataFrame(rows, columns=["train.samples", "gap", "experiment"])
        found = runs.folder_for(table, tmp_path / "mine.csv", "curve.csv")
        found.mkdir(exist_ok=True)
        table.to_csv(found / "curve.csv", index=False)
        return found.name

    first, second, other = (100, 0.1, "a"), (200, None, "b"), (200, 0.5, "c")
    assert folder(first) == "mine.csv"
    assert folder(first, second) == "mine.csv"  # which lost nothing
    assert folder((100, 0.1, "again"), (200, None, "again")) == "mine.csv"
    assert folder(other) == "mine.csv-2"
    assert folder(first) == "mine.csv-3"
    assert folder(other) == "mine.csv-2"
    (tmp_path / "taken").write_text("a file")
    assert runs.folder_for(pd.DataFrame(), tmp_path / "taken", "curve.csv").name == "taken-2"


def test_anybodys_name_makes_a_harmless_folder():
    assert runs.slug("mine.csv", "strong") == "mine.csv-strong"
    assert runs.slug("../../etc/[1] ü.csv", None) == "etc-1-ü.csv"
    assert runs.slug("..", None) == "data"
    assert len(runs.slug("x" * 1000, None)) < 50
