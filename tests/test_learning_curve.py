"""The learning curve joins what can be compared, and lays it out as table, page and figure."""

import math
import subprocess

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from experiments import curve_figure, runs, verdicts
from experiments import learning_curve as lc
from stages.report import figures
from stages.shared.errors import InputError
from stages.shared.files import whole
from tests.conftest import check_panels

SWEPT, PANELS = "train.samples", ["model.head"]
PAIR = [("a", 100), ("b", 200)]
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
    bare = {key: value for key, value in run("a", 1).items() if not key.startswith("gap.")}
    with pytest.raises(InputError, match=r"no finished experiment has train\.samples"):
        runs.collect([bare, bare | {"Experiment": "b"}], [], SWEPT, PANELS)
    older = {key: value for key, value in run("a", 1).items() if not key.startswith("data/raw/")}
    with pytest.raises(InputError, match=r"no finished experiment has train\.samples"):
        runs.collect([older], [], SWEPT, PANELS)


def test_other_vectors_are_compared_where_they_were_swept():
    dims = {"download.vectors.glove.dim": 50, "data/raw/vectors": "x"}
    rows = [run("a", 100, **dims), run("b", 100, **{key: 2 * dims[key] for key in dims})]
    found = [
        runs.groups(runs.collect(rows, [], SWEPT, panels), SWEPT, panels)
        for panels in (["download.vectors.glove.dim"], PANELS)
    ]
    assert [len(groups) for groups in found] == [1, 2]


def test_vectors_at_urls_are_told_apart_and_their_secrets_not_told():
    key = "download.vectors.glove.path"
    values = [*(f"http://me:PW@host/v.txt?token={token}" for token in ("SECRET", "OTHER")), "v.txt"]
    hidden = ["http://***@host/v.txt?token=***", "http://***@host/v.txt?token=*** (2)", "v.txt"]
    rows = [run(str(n), n, **{key: value}) for value in values for n in (100, 200)]
    [group] = runs.groups(runs.collect(rows, [], SWEPT, [key]), SWEPT, [key])
    table = lc.curve(group, SWEPT, [key], DATA)
    assert [title for title, _ in curve_figure.by_panel(table, [key])] == [
        f"{key} {name}" for name in hidden
    ]
    [group] = runs.groups(runs.collect(rows[::2], [], key, []), key, [])
    over = lc.curve(group, key, [], DATA)
    text = lc.report(over, key, [], "title", "accuracy", "")
    assert sum(line.startswith(("| http", "| v.txt")) for line in text.splitlines()) == 3
    for told in (text, over.to_csv(), table.to_csv()):
        assert not any(secret in told for secret in ("PW", "SECRET", "OTHER"))
    old = table.replace(dict(zip(hidden, values, strict=True)))  # as it was written before
    assert not any("PW" in title for title, _ in curve_figure.by_panel(old, [key]))


def test_a_curve_has_a_row_for_each_run_and_variant_with_its_band():
    table = lc.curve(pd.DataFrame([run("a", 100), run("b", 200)]), SWEPT, PANELS, DATA)
    assert table[["train.samples", "variant"]].to_numpy().tolist() == [
        [100, "learned"], [100, "pretrained"], [200, "learned"], [200, "pretrained"],
    ]  # fmt: skip
    row = table.iloc[1]
    assert (row["gap"], row["gap_low"], row["gap_high"]) == (0.1, 0.05, 0.15)
    half = 2.776445 * 0.02 / np.sqrt(5)
    assert row["accuracy_high"] == pytest.approx(0.7 + half, abs=1e-4)


def test_a_band_ends_where_an_accuracy_must():
    certain = {"learned.accuracy": 0.99, "learned.accuracy_std": 0.2}
    row = lc.curve(pd.DataFrame([run("a", 100, **certain)]), SWEPT, PANELS, DATA).iloc[0]
    assert row["accuracy_high"] == 1
    certain = {"learned.accuracy": 0.01, "learned.accuracy_std": 0.2}
    row = lc.curve(pd.DataFrame([run("a", 100, **certain)]), SWEPT, PANELS, DATA).iloc[0]
    assert row["accuracy_low"] == 0


def test_one_label_for_all_has_the_score_of_chance():
    of, data = pd.Series({"majority": 0.6}), {"labels": list("abcd")}
    names = ("accuracy", "balanced_accuracy", "roc_auc", "macro_f1")
    assert [lc.of_one_label(of, name, data) for name in names] == [0.6, 0.25, 0.5, None]
    assert lc.of_one_label(of, "balanced_accuracy", {"labels": []}) == 0.5  # of an older run


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


def test_the_band_of_another_metric_is_that_of_its_draws():
    told = {
        "learned.roc_auc": 0.7,
        "pretrained.roc_auc": 0.8,
        "gap.pretrained-learned.roc_auc": 0.1,
    }
    told |= {
        f"gap.pretrained-learned.roc_auc_{end}": v for end, v in (("low", 0.04), ("high", 0.2))
    }
    rows = pd.DataFrame([run("a", 100, **told), run("b", 200, **told)])
    scored = {("a", "learned"): [0.6, 0.7, 0.8], ("a", "pretrained"): [0.8] * 3}
    draws = pd.DataFrame(
        [(*key, value) for key, values in scored.items() for value in values],
        columns=["experiment", "variant", "draw"],
    )
    table = lc.curve(rows, SWEPT, PANELS, DATA, "roc_auc", draws)
    first, second, third, fourth = table.to_dict("records")
    assert first["roc_auc_high"] == pytest.approx(0.7 + 2.776445 * 0.1 / np.sqrt(5), abs=1e-4)
    assert (second["roc_auc_low"], second["roc_auc_high"]) == (0.8, 0.8)
    assert (second["gap"], second["gap_low"], second["gap_high"]) == (0.1, 0.04, 0.2)
    assert first["majority"] == 0.5
    assert np.isnan([third["roc_auc_low"], fourth["roc_auc_high"]]).all()


def test_a_metric_without_intervals_has_a_gap_and_no_verdict():
    told = {"learned.log_loss": 0.7, "pretrained.log_loss": 0.6, "train.repeats": 2}
    rows = [run(n, k, **told) for n, k in PAIR]
    table = lc.curve(pd.DataFrame(rows), SWEPT, PANELS, DATA, "log_loss")
    text = lc.report(table, SWEPT, PANELS, "title", "log_loss", "")
    assert "`pretrained` has no verdict against `learned` at every measured size." in text
    assert "| 100 | 0.700 | 0.600 | -0.100 |" in text
    assert text.splitlines()[-1] == (
        "There is no verdict where there is doubt: everywhere there is no interval for log\\_loss."
    )


def test_one_repeat_gives_no_verdict_though_it_has_a_gap():
    alone = {"gap.pretrained-learned.accuracy_low": None, "train.repeats": 1}
    alone |= {"gap.pretrained-learned.accuracy_high": None, "learned.accuracy_std": None}
    rows = [run("a", 100, **alone), run("b", 200)]
    table = lc.curve(pd.DataFrame(rows), SWEPT, ["train.repeats"], DATA)
    assert table["verdict"].tolist() == ["", "no verdict", "", "beats"]
    assert table["doubt"].tolist() == ["", "one repeat gives no interval", "", ""]
    assert np.isnan(table["accuracy_low"][0])


def test_runs_that_differ_in_draws_are_joined_and_of_equal_points_the_most_draws_count():
    more = {"train.repeats": 20}
    rows = [run("a", 100), run("b", 100, **more), run("c", 200), run("d", 400, seed=1)]
    rows[-1]["train.repeats"] = 7
    joined, other = lc.groups(pd.DataFrame(rows), SWEPT, PANELS)
    assert joined["Experiment"].tolist() == ["b", "c"]
    assert [*lc.left_out(joined, [other], SWEPT, PANELS)] == ["d is left out: another seed"]
    assert verdicts.numbers_of_draws(joined["train.repeats"]) == (
        "The points have 5 to 20 draws each."
    )
    assert verdicts.numbers_of_draws(joined["train.repeats"][:1]) == ""


def test_a_baseline_that_starts_from_no_vectors_is_a_variant_like_any():
    more = {"tfidf.accuracy": 0.9, "tfidf.accuracy_std": 0.01, "tfidf.largest_share": 0.5}
    more |= {"gap.tfidf-learned.accuracy": 0.3, "gap.tfidf-learned.accuracy_low": 0.2}
    more |= {"gap.tfidf-learned.accuracy_high": 0.4}
    rows = [run(name, n, **more) for name, n in PAIR]
    table = lc.curve(pd.DataFrame(rows), SWEPT, PANELS, DATA)
    assert table["variant"].tolist() == ["learned", "pretrained", "tfidf"] * 2
    assert table["verdict"].tolist() == ["", "beats", "beats"] * 2


def test_runs_that_do_not_tell_a_metric_are_named(capsys):
    rows = pd.DataFrame([run("old", 100), run("new", 200, **{"learned.macro_f1": 0.5})])
    assert runs.with_metric(rows, "macro_f1")["Experiment"].tolist() == ["new"]
    assert capsys.readouterr().err == "old is left out: it has no macro_f1\n"
    with pytest.raises(InputError, match="no finished experiment has roc_auc"):
        runs.with_metric(rows, "roc_auc")


def test_gaps_are_corrected_within_a_variant_and_a_panel_and_not_beyond():
    near = {"gap": 0.1, "half": 0.08, "train.repeats": 3}  # 95 % excludes zero, p is 0.033
    rows = [run("a", 100, "conv", **near), run("b", 100, **near), run("c", 200, **near)]
    table = lc.curve(pd.DataFrame(rows), SWEPT, PANELS, DATA)
    t = 4.302653 * 0.1 / 0.08
    p = 1 - t / np.sqrt(2 + t**2)  # Student's distribution with 2 degrees of freedom
    assert table["gap_p"][[1, 3, 5]].tolist() == pytest.approx([p, 2 * p, 2 * p], rel=1e-3)
    assert table["verdict"].tolist()[1::2] == ["beats", "not significant", "not significant"]
    text = lc.report(table, SWEPT, PANELS, "title", "accuracy", "")
    assert text.count("**+0.100** (+0.020 to +0.180)") == 1
    assert text.count(" +0.100 (+0.020 to +0.180)") == 2
    assert "Each gap has its own 95 % interval. Bold gaps are significant at 5 % after Holm" in text


def test_why_there_is_no_verdict_stands_under_the_table():
    doubtful = {"learned.largest_share": 0.99, "glove.share_of_tokens": 0.1}
    rows = [
        run("a", 100, **doubtful),
        run("b", 200, **{"glove.share_of_tokens": 0.1}),
        run("c", 400),
    ]
    data = DATA | {"labels": ["neg", "*pos*"], "test": [40, 8]}
    table = lc.curve(pd.DataFrame(rows), SWEPT, PANELS, data)
    *_, last, _, note = lc.report(table, SWEPT, PANELS, "title", "accuracy", "").splitlines()
    assert note.startswith("Each gap has its own")
    assert last.startswith("There is no verdict where there is doubt: ")
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


def test_a_name_of_more_than_a_line_is_cut_to_its_start():
    for n in (runs.LONGEST_NAME - 1, runs.LONGEST_NAME):
        assert runs.shown("c" * n) == "c" * n
    assert runs.shown("a\n" + "c" * 99) == "a\ufffd" + "c" * (runs.LONGEST_NAME - 3) + "…"


def test_the_page_names_the_majority_and_ends_with_what_overlaps():
    rows = [run(name, n, majority=0.55) for name, n in PAIR]
    table = lc.curve(pd.DataFrame(rows), SWEPT, PANELS, DATA)
    text = lc.report(table, SWEPT, PANELS, "title", "accuracy", "Draws overlap.")
    assert text.splitlines()[-3:] == [
        "Always the most frequent label: accuracy 0.550.", "", "Draws overlap.",
    ]  # fmt: skip


def test_the_report_shows_every_panel_and_names_the_data(tmp_path):
    rows = [run(f"{n}{h}", n, h, gap=0.1 - n / 2000) for n in (100, 400) for h in ("flat", "mean")]
    table = lc.curve(runs.groups(pd.DataFrame(rows), SWEPT, PANELS)[0], SWEPT, PANELS, DATA)
    text = lc.report(table, SWEPT, PANELS, runs.about(DATA), "accuracy", "")
    assert text.splitlines()[0] == f"# {ABOUT}"
    assert "### model.head flat\n" in text
    assert "### model.head mean\n" in text
    assert "| 400 | 0.600 | 0.500 | **-0.100** (-0.150 to -0.050) |" in text


def test_of_many_variants_the_page_has_a_row_for_each():
    rows = [run("a", 100, gap=0.1), run("b", 400, gap=-0.1)]
    two = lc.curve(pd.DataFrame(rows), SWEPT, PANELS, DATA)
    names = [f"v{i}" for i in range(5)]
    others = [two[two["variant"] == "pretrained"].assign(variant=name) for name in names]
    text = lc.report(pd.concat([two, *others]), SWEPT, [], "title", "accuracy", "")
    better, worse = "0.700, **+0.100** (+0.050 to +0.150)", "0.500, **-0.100** (-0.150 to -0.050)"
    table = [line for line in text.splitlines() if line.startswith("|")]
    assert table == [
        "| by train.samples | 100 | 400 |",
        "| --- | --: | --: |",
        "| `learned` | 0.600 | 0.600 |",
        *(f"| `{name}` | {better} | {worse} |" for name in ["pretrained", *names]),
    ]
    text = lc.report(pd.concat([two, *others[1:]]), SWEPT, [], "title", "accuracy", "")
    [header] = [line for line in text.splitlines() if line.startswith("| train.samples |")]
    assert header.strip("| ").split(" | ")[3::2] == ["gap"] * 5


def scored(*rows):
    return pd.DataFrame(rows, columns=["experiment", "variant", "draw"])


def test_the_figure_has_a_line_a_band_and_a_dot_for_each_draw():
    rows = [run("a", 100, gap=0.1, majority=0.55), run("b", 400, gap=-0.1, majority=0.55)]
    table = lc.curve(pd.DataFrame(rows), SWEPT, PANELS, DATA)
    draws = scored(
        ("a", "learned", 0.58), ("a", "learned", 0.62), ("b", "pretrained", 0.47),
        ("another", "learned", 0.99),
    )  # fmt: skip
    _, axis = plt.subplots()
    curve_figure.draw_panel(axis, table, draws, SWEPT, "accuracy", curve_figure.styles(table))
    bands, dots = axis.collections[::2], axis.collections[1::2]
    found = [line.get_xydata().tolist() for line in axis.lines if line.get_marker() != "None"]
    assert found == [[[100, 0.6], [400, 0.6]], [[100, 0.7], [400, 0.5]]]
    assert [of.get_offsets().tolist() for of in dots] == [
        [[100, 0.58], [100, 0.62]], [[400, 0.47]],
    ]  # fmt: skip
    places = axis.transData.transform([[100, 0.6]])
    beside = [
        (of.get_offset_transform().transform([[100, 0.6]]) - places)[0] * 72 / axis.figure.dpi
        for of in dots
    ]
    np.testing.assert_allclose(beside, [(-1.75, 0), (1.75, 0)], atol=1e-6)  # in points
    assert [of.get_linewidths().tolist() for of in dots] == [[0], [0]]
    half = 2.776445 * 0.02 / np.sqrt(5)
    edges = {round(y, 3) for y in bands[1].get_paths()[0].vertices[:, 1]}
    assert edges == {round(y + sign * half, 3) for y in (0.5, 0.7) for sign in (-1, 1)}
    dotted, dashed = ([ln for ln in axis.lines if ln.get_linestyle() == s] for s in (":", "--"))
    assert [line.get_ydata()[0] for line in dotted] == [0.55]
    assert [line.get_xdata()[0] for line in dashed] == [pytest.approx(200)]
    assert min(line.get_linewidth() for line in axis.lines) > 0.8
    plt.close()


@pytest.mark.parametrize("n_variants", [6, 7])
def test_of_more_variants_than_can_be_told_apart_the_means_alone_are_drawn(n_variants):
    rows = [run("a", 100, gap=0.1), run("b", 400, gap=-0.1)]
    table = lc.curve(pd.DataFrame(rows), SWEPT, PANELS, DATA)
    one = table[table["variant"] == "pretrained"]
    table = pd.concat(one.assign(variant=f"v{i}") for i in range(n_variants))
    draws, (_, axis) = scored(("a", "v0", 0.6)), plt.subplots()
    curve_figure.draw_panel(axis, table, draws, SWEPT, "accuracy", curve_figure.styles(table))
    assert len(axis.collections) == (2 * n_variants if n_variants == 6 else 0)
    assert sum(line.get_linestyle() == "--" for line in axis.lines) == n_variants % 7
    plt.close()


def test_panels_stand_in_the_order_of_the_table_with_one_scale(tmp_path, monkeypatch):
    rows = [run("a", 100, "mean", gap=0.3), run("b", 100, "conv")]
    table, drawn = lc.curve(pd.DataFrame(rows), SWEPT, PANELS, DATA), []
    table = table.sort_values("model.head", ascending=False, kind="stable")
    monkeypatch.setattr(figures, "save", lambda figure, path: drawn.append(figure))
    curve_figure.draw(table, scored(), SWEPT, PANELS, "accuracy", "title", tmp_path / "curve.png")
    left, right = drawn[0].axes
    assert [axis.get_title() for axis in (left, right)] == ["model.head mean", "model.head conv"]
    assert left.get_ylim() == right.get_ylim()
    plt.close(drawn[0])


@pytest.mark.parametrize(
    ("metric", "title"),
    [
        ("balanced_accuracy", "balanced accuracy"), ("macro_f1", "macro F1"),
        ("roc_auc", "area under the ROC curve"), ("log_loss", "log loss (lower is better)"),
    ],
)  # fmt: skip
def test_the_axis_names_the_metric(metric, title, tmp_path, monkeypatch):
    of = {f"{variant}.{metric}": 0.5 for variant in ("learned", "pretrained")}
    table, drawn = lc.curve(pd.DataFrame([run("a", 100, **of)]), SWEPT, PANELS, DATA, metric), []
    monkeypatch.setattr(figures, "save", lambda figure, path: drawn.append(figure))
    curve_figure.draw(table, scored(), SWEPT, PANELS, metric, "title", tmp_path / "curve.png")
    assert drawn[0].axes[0].get_ylabel() == f"{title} on the test split"
    drawn[0].draw_without_rendering()
    [legend] = drawn[0].legends
    columns = {round(text.get_window_extent().x0) for text in legend.get_texts()}
    assert len(columns) == 2
    plt.close(drawn[0])


@pytest.mark.parametrize(("samples", "scale"), [((100, 400), "log"), ((0, 400), "linear")])
def test_numbers_are_on_a_logarithmic_scale_unless_one_is_zero(samples, scale):
    table = lc.curve(pd.DataFrame([run(f"{n}", n) for n in samples]), SWEPT, PANELS, DATA)
    _, axis = plt.subplots()
    curve_figure.draw_panel(axis, table, scored(), SWEPT, "accuracy", curve_figure.styles(table))
    assert axis.get_xscale() == scale
    plt.close()


def test_the_legend_says_what_is_drawn_and_no_more(tmp_path, monkeypatch):
    rows = [run(f"{n}{h}", n, h) for h in "abcde" for n in (100, 400)]
    table = lc.curve(pd.DataFrame(rows), SWEPT, PANELS, DATA)
    parts = [*curve_figure.by_panel(table, PANELS)]
    plain = curve_figure.legend(table, scored(), SWEPT, parts)
    assert [handle.get_label() for handle in plain] == [
        "learned", "pretrained", "95 % band of the mean over draws",
    ]  # fmt: skip
    table["majority"], table["gap"] = 0.5, [None, 0.1, None, -0.1] * 5
    table["verdict"] = ["", "beats", "", "loses"] * 5
    draws = scored(("100a", "learned", 0.6))
    full = curve_figure.legend(table, draws, SWEPT, [*curve_figure.by_panel(table, PANELS)])
    assert [handle.get_label() for handle in full] == [
        "learned", "pretrained", "one draw", "95 % band of the mean over draws",
        "always the most frequent label", "crosses learned", "95 % interval of the crossing",
    ]  # fmt: skip
    path = tmp_path / "curve.png"
    curve_figure.draw(table, draws, SWEPT, PANELS, "accuracy", "title", path)
    assert path.stat().st_size > 10_000
    some = table.assign(majority=[np.nan] * 10 + [0.5] * 10)
    assert "always the most frequent label" in [
        handle.get_label() for handle in curve_figure.legend(some, draws, SWEPT, parts)
    ]

    def check(figure, _):
        check_panels(figure)
        texts = [figure.get_suptitle(), *(axis.get_title() for axis in figure.axes)]
        assert texts == ["$x$", *(f"model.head {head}" for head in "abcde")]
        written = figure.findobj(lambda artist: "$" in getattr(artist, "get_text", str)())
        assert written and not any(text.get_parse_math() for text in written)
        assert {text.get_fontsize() for text in written} == {10}

    monkeypatch.setattr(figures, "save", check)
    curve_figure.draw(table, draws, SWEPT, PANELS, "accuracy", "$x$", path)


def test_of_many_variants_the_means_alone_are_drawn_and_no_two_look_alike():
    rows = [run("a", 100, gap=0.1, majority=0.55), run("b", 400, gap=-0.1, majority=0.55)]
    two = lc.curve(pd.DataFrame(rows), SWEPT, PANELS, DATA)
    others = (two[two["variant"] == "pretrained"].assign(variant=f"v{i}") for i in range(14))
    table, draws = pd.concat([two, *others]), scored(("a", "learned", 0.58))
    looks = curve_figure.styles(table)
    assert len({(of["color"], of["linestyle"]) for of in looks.values()}) == len(looks) == 16
    _, axis = plt.subplots()
    curve_figure.draw_panel(axis, table, draws, SWEPT, "accuracy", looks)
    assert not axis.collections
    assert len(axis.lines) == 16 + 1  # the majority's
    said = [of.get_label() for of in curve_figure.legend(table, draws, SWEPT, [("", table)])]
    assert said == [*looks, "always the most frequent label"]
    plt.close()


def test_recorded_curves_are_drawn_side_by_side_under_their_names(tmp_path, monkeypatch):
    heads = [run(f"{n}{head}", n, head) for n in (100, 200) for head in ("flatten", "mean")]
    alone = [run("a", 100, gap=0.2), run("b", 200, gap=0.3)]
    for name, rows in (("recipe", heads), ("all_tuned", alone)):
        table = lc.curve(pd.DataFrame(rows), SWEPT, PANELS, DATA)
        table.to_csv(tmp_path / f"{name}.csv", index=False)
    drawn = {}

    def keep(figure, path):
        (legend,) = figure.legends
        n_lines = math.ceil(len(legend.get_texts()) / 5)
        assert figure.get_figheight() == pytest.approx(3.6 + 0.8 + 0.2 * n_lines)
        for axis in figure.axes:
            learned, pretrained, *_ = axis.get_lines()
            assert learned.get_ydata().tolist() == [0.6, 0.6]
            drawn[axis.get_title()] = pretrained.get_ydata().tolist()

    monkeypatch.setattr(curve_figure.figures, "save", keep)
    files = [str(tmp_path / f"{name}.csv") for name in ("recipe", "all_tuned")]
    monkeypatch.setattr("sys.argv", ["curve_figure", *files, "--out", "both.png"])
    curve_figure.main()
    assert drawn == {
        "recipe, flatten": [0.7, 0.7], "recipe, mean": [0.7, 0.7], "all tuned": [0.8, 0.9],
    }  # fmt: skip


def test_a_variant_may_be_called_na_and_an_empty_number_is_none(tmp_path, monkeypatch):
    path = tmp_path / "curve.csv"
    path.write_text("train.samples,variant,accuracy,majority\n100,NA,,0.5\n200,null,0.7,0.5\n")
    table = curve_figure.recorded(path)
    assert table["variant"].tolist() == ["NA", "null"]
    assert table["accuracy"].isna().tolist() == [True, False]
    (tmp_path / "metrics").mkdir()
    (tmp_path / runs.SCORES).write_text("variant,repeat,accuracy\nNA,0,0.6\nlearned,0,\n")
    for command in (
        ["init", "--quiet"],
        ["add", "."],
        ["-c", "user.name=T", "-c", "user.email=t@example.com", "commit", "-qm", "Begin"],
    ):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    monkeypatch.chdir(tmp_path)
    draws = runs.read_draws(pd.DataFrame([run("a", 100) | {"rev": "HEAD"}]), "accuracy")
    assert draws["variant"].tolist() == ["NA", "learned"]
    assert draws["draw"].isna().tolist() == [False, True]
    older = run("b", 200) | {"rev": "no such commit"}
    both = pd.DataFrame([older, run("a", 100) | {"rev": "HEAD"}])
    assert runs.read_draws(both, "accuracy").equals(draws)
    with pytest.raises(InputError, match=r"^b has no metrics/data\.json$"):
        runs.read_data(pd.Series(older))
    none = runs.read_draws(both[:1], "accuracy")
    assert none.columns.tolist() == ["experiment", "variant", "draw"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "no table can be read"),
        (b"", "no table can be read"),
        (b"\xff\xfe\x00", "no table can be read"),
        (b"variant,accuracy,majority\n", "has no column train.samples"),
    ],
)
def test_what_is_no_recorded_curve_is_one_line(tmp_path, content, said):
    path = tmp_path / "curve.csv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=said):
        curve_figure.recorded(path)


@pytest.mark.parametrize(
    ("swept", "values", "said"),
    [
        ("train.learning_rate", [0.001, 0.01, 0.1], "at 0.001, is not significantly different at"),
        (
            "train.word_dropout",
            [0.0, 0.25, 0.5],
            "loses to it at 0.5; the lines cross near 0.25 (9",
        ),
        (
            "model.head",
            ["conv", "flatten", "mean"],
            "different at flatten, and loses to it at mean",
        ),
        ("variants.pretrained.trainable", [False, True], "at false, and loses to it at true."),
        ("download.vectors.glove.vocabulary_limit", [None, 10], "10, and beats it at null."),
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
    text = lc.report(table, swept, [], "title", "accuracy", "")
    assert f"- Over {swept}, `pretrained`" in text
    assert said in text
    for value, gap in zip(values, size_of_gap, strict=True):
        shown = f"{gap:+.3f}" if abs(gap) < 0.1 else f"**{gap:+.3f}**"
        assert f"| {runs.written(value)} | 0.600 | {0.6 + gap:.3f} | {shown} (" in text
    curve_figure.draw(table, scored(), swept, [], "accuracy", "title", tmp_path / "curve.png")


@pytest.mark.parametrize(
    ("labels", "named"),
    [("ab", "a and b"), ("abc", "a, b and c"), ("abcd", "a, b and 2 more")],
)
def test_of_many_labels_the_first_are_named(labels, named, monkeypatch):
    monkeypatch.setattr(runs, "MOST_LABELS", 3)
    texts = "400 texts (320 to train on, 80 to test on)"
    assert runs.about(DATA | {"labels": [*labels]}) == f"mine.csv: {texts}, labels {named}"


def test_a_single_run_fits_a_terminal():
    rows = [run("a", 1000, "mean", gap=-0.1)]
    title = runs.about(DATA | {"labels": ["\x1b[2J" + "long" * 30, "pos"]}, "strong")
    table = lc.curve(pd.DataFrame(rows), SWEPT, PANELS, DATA)
    text = lc.result(table, [SWEPT, *PANELS], title, "accuracy", "Draws overlap. " * 9)
    assert all(len(line) < 80 for line in text.splitlines())
    assert "\x1b" not in text
    assert "mine.csv, setting strong: 400 texts" in text
    assert "train.samples 1,000, model.head mean" in " ".join(text.split())
    [pretrained] = [line for line in text.splitlines() if line.startswith("pretrained")]
    assert pretrained.split("  ")[-1] == "gap -0.100 (-0.150 to -0.050)"
    assert text.endswith("Draws overlap.\n")
    alone = lc.result(table[:1], [SWEPT, *PANELS], title, "accuracy", "")
    assert alone.split("intervals:\n")[1].startswith("learned  ")
    name = "abcdefghijklmnopqrstuvwxyz"
    text = lc.result(table.assign(variant=name), [SWEPT, *PANELS], title, "accuracy", "")
    assert text.count(f"{name[:20]}  0.") == len(table)


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


def test_where_a_link_leads_to_a_folder_the_folder_is_written_and_the_link_stays(tmp_path):
    target, link = tmp_path / "disk/model", tmp_path / "model"
    target.mkdir(parents=True)
    (target / "old").touch()
    link.symlink_to("disk/model")
    with whole(link) as folder:
        folder.mkdir()
        (folder / "new").touch()
    assert link.is_symlink()
    assert [path.name for path in target.iterdir()] == ["new"]
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["disk", "model", "model", "new"]


def test_of_an_older_run_neither_texts_nor_labels_are_told():
    said = "mine.csv, setting few: an older run, which tells neither number of texts nor labels"
    assert runs.about(DATA | {"labels": []}, "few") == said


def test_a_folder_with_another_file_of_that_name_is_not_written_to(tmp_path):
    table = pd.DataFrame({"train.samples": [100], "experiment": ["b"]})
    (tmp_path / "curve").mkdir()
    for content in (b"", b"\xff\xfe", b'"open\n', b"a\n1,2\n3,4,5\n"):
        (tmp_path / "curve/a.csv").write_bytes(content)
        assert runs.folder_for(table, tmp_path / "curve", "a.csv") == tmp_path / "curve-2"
    (tmp_path / "curve/a.csv").write_text("train.samples,experiment\n100,a\n")
    assert runs.folder_for(table, tmp_path / "curve", "a.csv") == tmp_path / "curve"
