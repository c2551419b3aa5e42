"""The whole question in one command: what is measured, what is advised, and a page that says so."""

import json
import re
import shutil
from itertools import chain

import numpy as np
import pandas as pd
import pytest

from experiments import answer, points
from stages.shared.errors import InputError
from stages.shared.schema import Params, Start
from tests import tiny_encoder
from tests.conftest import PROJECT, TRACKED, dump_yaml, load_yaml, tables_of

SURE, EQUAL = "significantly the most accurate", "which can't be told apart"
SIMPLE = "the simplest: nothing is significantly more accurate"


@pytest.mark.parametrize(
    ("n_texts", "n_labels", "expected"),
    [
        (6824, 2, [50, 100, 200, 500, 1000, 2000, 5000]),
        (20_000, 2, [50, 100, 200, 500, 1000, 2000, 5000, 10_000, 16_000]),
        (240, 2, [50, 100, 190]),
        (400, 8, [100, 200, 320]),
        (313, 2, [50, 100, 200, 250]),
        (70, 2, [50]),
        (40, 2, [32]),
    ],
)
def test_sizes_double_or_so_up_to_four_fifths_of_the_train_split(n_texts, n_labels, expected):
    assert answer.sizes(n_texts, n_labels) == expected


def test_too_few_texts_are_refused():
    with pytest.raises(InputError, match="the train split has 12 texts"):
        answer.sizes(12, 2)


def best(variant: str, *undecided: str) -> dict:
    return {"best": {"variant": variant, "undecided": [*undecided]}}


def test_what_is_recommended_is_the_best_or_what_cannot_be_told_from_it():
    assert answer.recommended(best("b"), ["linear"], {}) == (("b",), SURE)
    assert answer.recommended(best("linear"), ["linear"], {}) == (("linear",), SURE)
    assert answer.recommended(best("b", "a", "c"), ["linear"], {}) == (("b", "a", "c"), EQUAL)
    assert answer.recommended(best("b", "a", "linear"), ["linear"], {}) == (("linear",), SIMPLE)
    assert answer.recommended(best("linear", "a"), ["linear"], {}) == (("linear",), SIMPLE)
    assert answer.recommended(best("b"), ["linear"], {"b": ["x", "y"]}) == ((), "x; y")
    each = {"b": ["x", "of all", "too"], "a": ["too", "y", "of all"]}
    assert answer.recommended(best("b", "a"), ["linear"], each) == ((), "of all; too")
    assert answer.recommended(best("b", "a"), [], {"b": ["x"], "a": ["y"]}) == ((), "x; y")


def test_advice_names_measured_sizes_only():
    t, f = answer.Advice(("t",), SIMPLE), answer.Advice(("f",), SURE)
    both = answer.Advice(("b", "a"), EQUAL)
    chosen = {"50": t, "100": t, "200": both, "500": f, "1,000": f}
    assert answer.advice(chosen) == (
        f"At 50 and 100 take `t`, {SIMPLE}; at 200 take `b` or `a`, {EQUAL}; from 500 on take `f`,"
        f" {SURE}."
    )
    assert answer.advice({"50": t, "100": t}) == f"At every measured size take `t`, {SIMPLE}."
    assert answer.advice({"50": t}) == f"At 50 take `t`, {SIMPLE}."
    assert answer.advice({"50": answer.Advice((), "few texts"), "100": f}) == (
        f"At 50 nothing can be recommended (few texts); at 100 take `f`, {SURE}."
    )


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["train.samples=100"], "train.samples is what is measured"),
        (["seed=1,2"], "-S takes one value here"),
        (["train.epochs=none"], "train.epochs is"),
    ],
)
def test_what_cannot_be_asked_is_one_line(given, said, monkeypatch):
    monkeypatch.chdir(PROJECT)
    with pytest.raises(InputError, match=re.escape(said)):
        answer.plan(given)


def test_learned_alone_has_nothing_to_be_measured_against(tmp_path, monkeypatch):
    content = load_yaml((PROJECT / "params.yaml").read_text())
    content["variants"] = {"learned": content["variants"]["learned"]}
    (tmp_path / "params.yaml").write_text(dump_yaml(content))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"^variants has learned alone: there is nothing to comp"):
        answer.plan([])


def chosen_settings(*given: str) -> Params:
    """What the first point of the strong answer runs."""
    return points.settings_of(answer.plan([*given], is_strong=True)[0])


def test_the_strong_setting_reads_pairs_and_puts_fitted_columns_beside_every_start(monkeypatch):
    monkeypatch.chdir(PROJECT)
    own = chosen_settings()
    assert (own.tokenize.maxlen, own.tokenize.num_bigrams) == (800, 200_000)
    assert (own.train.schedule, own.train.word_dropout, own.train.repeats) == ("linear", 0.5, 5)
    assert own.train.tune
    assert own.embed["glove"] == Start(vectors="glove", fitted=50, weighting="rare")
    assert own.embed["tfidf"] == Start(texts="naive-bayes", fitted=50, weighting="both")
    assert own.embed["random"] == Start(dim=50)


def test_frozen_vectors_that_are_looked_up_start_centred_unless_another_start_is_given(monkeypatch):
    monkeypatch.chdir(PROJECT)
    control = "++embed.mixed={vectors: glove, shuffled: true, match: folded}"
    of_control = ("++variants.control.vectors=mixed", "++variants.control.trainable=false")

    def starts(*given: str) -> dict[str, Start]:
        own = points.settings_of(answer.plan([control, *of_control, *given])[0])
        return {name: own.embed[of.vectors] for name, of in own.variants.items()}

    expected = {
        "learned": Start(dim=50),
        "pretrained": Start(vectors="glove", centred=True),
        "finetuned": Start(vectors="glove"),
        "tfidf": Start(texts="tf-idf"),
        "control": Start(vectors="glove", shuffled=True, match="folded"),  # it is given
    }
    assert starts() == expected
    assert starts("++variants.pretrained.vectors=glove")["pretrained"] == Start(vectors="glove")
    fitted = Start(vectors="glove", fitted=9)
    assert starts("++embed.glove.fitted=9") == expected | dict.fromkeys(
        ("pretrained", "finetuned"), fitted
    )


def test_an_answer_says_which_vectors_start_centred(monkeypatch):
    monkeypatch.chdir(PROJECT)
    settings = points.settings_of(answer.plan([])[0])
    assert answer.about_centred(settings) == "The vectors of `pretrained` start centred."
    assert answer.about_centred(points.settings_of([])) == ""


@pytest.mark.parametrize("is_strong", [True, False])
@pytest.mark.parametrize(("n_layers", "middle"), [(6, 4), (12, 8), (2, 1), (1, None)])
def test_an_encoder_is_measured_by_its_last_layer_and_by_one_two_thirds_up(
    n_layers, middle, is_strong, tmp_path, monkeypatch
):
    pytest.importorskip("tokenizers")
    path = tiny_encoder.write(tmp_path / 'an "encoder", {own}')
    config = tiny_encoder.config(num_hidden_layers=n_layers)
    (path / "config.json").write_text(json.dumps(config))
    monkeypatch.chdir(PROJECT)
    own = points.settings_of(answer.plan([], is_strong, path)[0])
    expected = {"encoder": None} | ({f"encoder_{middle}": middle} if middle else {})
    assert [*own.variants] == ["learned", "pretrained", "finetuned", "tfidf", *expected]
    for name, layer in expected.items():
        assert not own.variants[name].trainable
        start = own.embed[own.variants[name].vectors]
        assert start == Start(texts="encoder", vectors=name)
        source = own.download.vectors[name]
        assert (source.source, source.path, source.layer) == ("encoder", str(path), layer)
    file = 'of an "encoder", {own}'
    also = f" and `encoder_{middle}` takes its vectors from layer {middle} {file}" if middle else ""
    said = f"`encoder` takes its vectors from the last layer {file}{also}."
    said = f"An encoder cuts texts into tokens of its own: {said}"
    assert answer.about_encoders(own) == said
    assert answer.about_encoders(points.settings_of([])) == ""
    assert " All variants but an encoder's read the last " in answer.described(own)
    assert " All variants read the last " in answer.described(points.settings_of([]))


def test_an_encoder_that_is_none_or_whose_name_is_taken_is_one_line(tmp_path, monkeypatch):
    pytest.importorskip("tokenizers")
    monkeypatch.chdir(PROJECT)
    with pytest.raises(InputError, match="missing can't be read: No such file"):
        answer.plan([], encoder=tmp_path / "missing")
    with pytest.raises(InputError, match=r"holds no config\.json"):
        answer.plan([], encoder=tmp_path)
    path = tiny_encoder.write(tmp_path / "whole")
    source = "{source: encoder, path: x, sha256: null, dim: null, vocabulary_limit: null}"
    for section, taken in (
        ("variants", "variants.encoder_1={vectors: glove, trainable: true}"),
        ("embed", "embed.encoder={vectors: glove}"),
        ("download.vectors", f"download.vectors.encoder_1={source}"),
    ):
        with pytest.raises(InputError, match=rf"^{section} has encoder(_1)?, as --encoder would"):
            answer.plan([taken], encoder=path)
    own = answer.plan(["variants={pretrained: {vectors: glove, trainable: true}}"], encoder=path)
    assert {"encoder", "encoder_1", "pretrained"} <= {*points.settings_of(own[0]).variants}
    (path / "model.safetensors").rename(path / "pytorch_model.bin")
    with pytest.raises(InputError, match=r"pytorch_model\.bin is there, but model\.safetensors is"):
        answer.plan([], encoder=path)
    (path / "tokenizer.json").unlink()
    (path / "pytorch_model.bin").rename(path / "model.safetensors")
    with pytest.raises(InputError, match=r"tokenizer\.json"):
        answer.plan([], encoder=path)
    (path / "config.json").write_text(json.dumps(tiny_encoder.config(model_type="roberta")))
    with pytest.raises(InputError, match="roberta with absolute positions"):
        answer.plan([], encoder=path)


def test_the_strong_setting_changes_nothing_that_is_given(monkeypatch):
    monkeypatch.chdir(PROJECT)
    shuffled = Start(vectors="glove", shuffled=True)
    own = chosen_settings(
        "tokenize.maxlen=70", "embed.tfidf={texts: tf-idf}", "embed.glove.fitted=20",
        "embed.mixed={vectors: glove, shuffled: true}",
        "variants.mixed={vectors: mixed, trainable: false}",
    )  # fmt: skip
    assert own.tokenize.maxlen == 70
    assert own.embed["tfidf"] == Start(texts="tf-idf")
    assert own.embed["glove"] == Start(vectors="glove", fitted=20)
    assert own.embed["mixed"] == shuffled


def test_the_strong_setting_leaves_an_encoder_alone(monkeypatch):
    monkeypatch.chdir(PROJECT)
    own = chosen_settings(
        "download.vectors.minilm={source: encoder, path: any.zip, sha256: null, dim: null,"
        " vocabulary_limit: null}",
        "embed.encoded.texts=encoder", "embed.encoded.vectors=minilm",
        "variants.encoded={vectors: encoded, trainable: false}",
    )  # fmt: skip
    assert own.embed["encoded"] == Start(texts="encoder", vectors="minilm")


def test_few_texts_are_read_by_few_pairs(monkeypatch, tmp_path):
    monkeypatch.chdir(PROJECT)
    texts_of(160, 0.5).to_csv(tmp_path / "mine.csv", index=False)
    own = chosen_settings("download.texts.source=table", f"download.texts.path={tmp_path}/mine.csv")
    assert own.tokenize.num_bigrams == 1280  # ten for each of 128 texts


@pytest.fixture
def asked(run, tmp_path):
    """Asks the question of a table of texts; returns what was said, the page and its folder."""

    def ask(texts: pd.DataFrame, *options: str):
        root = tmp_path / "project"
        for name in (*TRACKED, "dvc.yaml", "params.yaml", "stages", "experiments"):
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            copy = shutil.copytree if (PROJECT / name).is_dir() else shutil.copy
            copy(PROJECT / name, root / name)
        texts.to_csv(root / "mine.csv", index=False)
        run(root, "git", "init", "--quiet")
        run(root, "git", "config", "user.name", "Test")
        run(root, "git", "config", "user.email", "test@example.com")
        run(root, "git", "add", "--all")
        run(root, "git", "commit", "--quiet", "--message", "Begin")
        command = ["python", "-m", "experiments.answer", *options]
        command += ["-S", "download.texts.source=table"]
        small = ["train.repeats=2", "train.epochs=4", "download.texts.test_fraction=0.5"]
        small += ["train.tune={learning_rates: [0.01, 0.1], folds: 2}"]
        given = ["download.texts.path=mine.csv", *small]
        done = run(root, *command, *chain.from_iterable(("-S", value) for value in given))
        [folder] = root.glob("experiments/mine.csv-*answer")
        return done.stdout, (folder / "answer.md").read_text(), folder

    return ask


def texts_of(n_texts: int, share: float) -> pd.DataFrame:
    """Sentences of two kinds: one word in three tells them apart."""
    generator = np.random.default_rng(0)
    label = generator.random(n_texts) < share
    words = generator.choice(["film", "plot", "actor", "scene", "end", "music"], (n_texts, 8))
    telling = np.where(label[:, None], "dull", "fine")
    words = np.where(generator.random((n_texts, 8)) < 0.3, telling, words)
    text = [f"{' '.join(row)} {number}" for number, row in enumerate(words)]
    return pd.DataFrame({"text": text, "label": np.where(label, "bad", "good")})


@pytest.mark.slow
def test_few_texts_end_in_a_paragraph_and_a_page(asked):
    said, page, folder = asked(texts_of(160, 0.5))
    plain_said = " ".join(said.split())
    assert plain_said.startswith("On mine.csv, 80 texts to train on and 80 to test on, labels bad")
    assert "With 64 labels the most accurate" in plain_said
    for title in (
        "What to take", "Accuracy by number of labels", "Gaps to `learned`", "What each chose",
        "What it cost", "What it can't tell",
    ):  # fmt: skip
        assert f"\n## {title}\n" in page
    table = pd.read_csv(folder / "learning_curve.csv")
    assert table["train.samples"].unique().tolist() == [50, 64]
    for _, row in table.iterrows():
        assert f"{row['accuracy']:.3f} ({row['accuracy_low']:.3f} to" in page
    html = (folder / "answer.html").read_text()
    assert "data:image/png;base64," in html
    assert not re.search(r'(?:src|href)="(?!data:|#)', html)


@pytest.mark.slow
def test_the_strong_answer_says_what_each_variant_is_and_what_it_chose(asked):
    said, page, folder = asked(texts_of(160, 0.5), "--strong")
    said = " ".join(said.split())
    assert folder.name == "mine.csv-strong-answer"
    for text in (said, page.replace("`", "")):
        assert "the last 800 words of a text, and up to 800 pairs of adjacent words" in text
        assert "pretrained (pretrained vectors beside ones fitted to the text, frozen)" in text
        assert "weighed by naive Bayes, beside up to 100 columns fitted to the text" in text
    head, *rows = tables_of(page)["What each chose"]
    for row in rows:
        assert re.fullmatch(r"C [\d.,]+, plain [01], rare [01]", row[head.index("`tfidf`")])
        assert re.fullmatch(r"0\.\d+, \d epochs?", row[head.index("`learned`")])


@pytest.mark.slow
def test_where_nearly_all_texts_have_one_label_nothing_is_recommended_lightly(asked):
    said, page, _ = asked(texts_of(160, 0.05))
    said = " ".join(said.split())
    assert "nothing can be recommended" in said
    assert "accuracy says little" in said
    assert "There is no verdict where there is doubt: everywhere" in page


DATA = {"name": "mine.csv", "labels": ["bad", "good"], "train": [700, 500], "test": [180, 120]}
# Of each size and variant: accuracy, gap to learned, doubt. learned stands in the middle.
MEASURED = {
    50: {"zebra": (0.61, 0.02, ""), "learned": (0.59, None, ""), "tfidf": (0.66, 0.07, "")},
    200: {"zebra": (0.71, 0.04, ""), "learned": (0.67, None, ""), "tfidf": (0.69, 0.02, "")},
    500: {"zebra": (0.74, -0.01, "few texts"), "learned": (0.75, None, ""),
          "tfidf": (0.72, -0.03, "few texts")},
}  # fmt: skip
BEST = {
    50: ("tfidf", "zebra", []),
    200: ("zebra", "tfidf", ["tfidf"]),
    500: ("learned", "zebra", []),
}


@pytest.fixture
def measured() -> tuple[pd.DataFrame, list[dict]]:
    """What `curve` and metrics/evaluation.json say of three sizes."""
    rows = [
        {
            "train.samples": size, "variant": name, "accuracy": accuracy,
            "accuracy_low": accuracy - 0.01, "accuracy_high": accuracy + 0.015,
            "gap": gap, "gap_low": gap and gap - 0.03, "gap_high": gap and gap + 0.025,
            "gap_p": 0.5, "verdict": "" if gap is None else "no verdict" if doubt else
            "not significant", "doubt": doubt, "majority": 0.6, "experiment": str(size),
        }
        for size, of in MEASURED.items() for name, (accuracy, gap, doubt) in of.items()
    ]  # fmt: skip
    best = [
        {"variant": first, "second": second, "undecided": undecided, "accuracy": size / 1e4,
         "accuracy_low": size / 1e4 - 0.001, "accuracy_high": size / 1e4 + 0.002,
         "over_majority_low": 0.01, "over_texts_low": 0.61, "over_texts_high": 0.79}
        for size, (first, second, undecided) in BEST.items()
    ]  # fmt: skip
    return pd.DataFrame(rows), [{"best": of} for of in best]


def test_each_size_is_advised_on_by_its_own_numbers_and_doubts(measured):
    table, evaluations = measured
    none = [[], [], ["few texts"]]
    assert answer.recommend_all(table, evaluations, none, ["tfidf"]) == {
        "50": (("tfidf",), SURE), "200": (("tfidf",), SIMPLE), "500": ((), "few texts"),
    }  # fmt: skip
    no_better = "nothing is significantly better than always saying the same label"
    for low in (-0.01, 0.0, None):
        evaluations[0]["best"]["over_majority_low"] = low
        found = answer.recommend_all(table, evaluations, none, ["tfidf"])
        assert [*found.values()] == [((), no_better), (("tfidf",), SIMPLE), ((), "few texts")]


def test_a_variant_with_a_doubt_is_not_taken_and_the_others_are(measured):
    table, evaluations = measured

    def taken(*doubt: str, linear: tuple[str, ...] = ("tfidf",), own: str = "") -> list[tuple]:
        doubtful = table.assign(doubt=[*doubt] * 3)
        of_reference = [[own] if own else []] * 3
        found = answer.recommend_all(doubtful, evaluations, of_reference, [*linear])
        return [*found.values()]

    one = "few vectors; one label"
    assert taken(one, "", "") == [(("tfidf",), SURE), (("tfidf",), SIMPLE), (("learned",), SURE)]
    of_tfidf = taken("", "", one)
    assert of_tfidf[0] == ((), one)  # the best has a doubt, and all others are worse
    assert of_tfidf[1].names == ("zebra",)
    assert "nothing without a doubt about it" in of_tfidf[1].why
    assert of_tfidf[2] == (("learned",), SURE)
    assert taken("", "", one, linear=()) == of_tfidf
    apart = taken("", "", "", linear=())[1]
    assert apart == (("zebra", "tfidf"), "which can't be told apart")
    # What all are doubted for is said once and alone.
    assert (
        taken("few texts; few vectors", "", "few texts", own="few texts") == [((), "few texts")] * 3
    )
    # Vectors that all others start from are no doubt about learned.
    assert taken("few vectors", "", "few vectors")[2] == (("learned",), SURE)


F1 = {"zebra": 0.15, "learned": 0.2, "tfidf": 0.1}
MANY = DATA | {"labels": [*"abcdefghi"], "train": [200] * 9, "test": [50] * 9}


def test_every_number_of_the_page_stands_under_its_size_and_variant(measured):
    table, evaluations = measured
    chosen = answer.recommend_all(table, evaluations, [[], [], ["few texts"]], ["tfidf"])
    tried = pd.DataFrame(
        {"size": [50, 200], "variant": ["tfidf", "zebra"], "chosen": ["C 3", "0.1"]}
    )
    page = answer.page(table, evaluations, DATA, chosen, ["tfidf"], tried, "Little.")
    assert "\nThere is no verdict where there is doubt: at 500 few texts.\n" in page
    found = tables_of(page)
    names = ["`zebra`", "`learned`", "`tfidf`"]
    assert found["Accuracy by number of labels"] == [
        ["labels", *names],
        *([str(size), *(f"{a:.3f} ({a - 0.01:.3f} to {a + 0.015:.3f})" for a, *_ in of.values())]
          for size, of in MEASURED.items()),
    ]  # fmt: skip
    assert found["Gaps to `learned`"] == [
        ["labels", "`zebra`", "`tfidf`"],
        *([str(size), *(f"{gap:+.3f} ({gap - 0.03:+.3f} to {gap + 0.025:+.3f})"
                        for _, gap, _ in of.values() if gap is not None)]
          for size, of in MEASURED.items()),
    ]  # fmt: skip
    assert found["What to take"][1:] == [
        ["50", "`tfidf`", "`tfidf` +0.005 (+0.004 to +0.007) against `zebra`"],
        ["200", "`tfidf`", "`zebra` +0.020 (+0.019 to +0.022) against `tfidf`"],
        ["500", "no recommendation", "`learned` +0.050 (+0.049 to +0.052) against `zebra`"],
    ]
    assert found["What each chose"][1:] == [["50", "", "", "C 3"], ["200", "0.1", "", ""]]
    said = page.split("\n\n")[1]
    assert said.startswith(
        "On mine.csv, 1,200 texts to train on and 300 to test on, labels bad and good: At 50 take"
        f" `tfidf`, {SURE}; at 200 take `tfidf`, {SIMPLE}; at 500 nothing can be recommended"
    )
    assert (
        "With 500 labels the most accurate, `learned`, has an accuracy of 0.750 (0.740 to 0.765"
        " over draws, 0.610 to 0.790 over test texts); always saying bad has 0.600. `tfidf` needs"
    ) in said
    open_at = "is not significantly different from `learned` at"
    assert (
        f" Judged over all sizes together, which asks for wider gaps: `zebra` {open_at} 50 and 200,"
        f" and has no verdict at 500; `tfidf` {open_at} 50 and 200, and has no verdict at 500."
        " There is no verdict where there is doubt: at 500 few texts. With 500"
    ) in said
    assert "Warning" not in page
    with_f1 = [
        evaluation
        | {
            **{name: {"macro_f1": 0.1 * place + own} for name, own in F1.items()},
            "gap": {
                f"{name}-learned": {
                    "macro_f1": F1[name] - 0.2, "macro_f1_low": -0.3, "macro_f1_high": high,
                }
                for name, high in (("zebra", 0.05), ("tfidf", -0.01))
            },
        }
        for place, evaluation in enumerate(evaluations)
    ]  # fmt: skip
    uneven = answer.page(
        table.assign(majority=0.75), with_f1, DATA, chosen, ["tfidf"], tried, "Little."
    )
    assert tables_of(uneven)["Macro F1 by number of labels"] == [
        ["labels", *names],
        *([size, f"{0.15 + more:.3f}, −0.050 (−0.300 to 0.050)", f"{0.2 + more:.3f}",  # noqa: RUF001
           f"{0.1 + more:.3f}, **−0.100** (−0.300 to −0.010)"]  # noqa: RUF001
          for size, more in (("50", 0), ("200", 0.1), ("500", 0.2))),
    ]  # fmt: skip
    some = table.assign(majority=[0.75] + [0.5] * (len(table) - 1))
    assert "Macro F1" in answer.page(some, with_f1, DATA, chosen, ["tfidf"], tried, "Little.")
    even = table.assign(majority=answer.UNEVEN - 0.01)
    assert "Macro F1" not in answer.page(even, with_f1, DATA, chosen, ["tfidf"], tried, "Little.")
    three = DATA | {"labels": ["a", "b", "c"], "train": [400] * 3, "test": [100] * 3}
    assert "Macro F1" in answer.page(even, with_f1, three, chosen, ["tfidf"], tried, "Little.")
    many = answer.page(table, with_f1, MANY, chosen, ["tfidf"], tried, "Little.")
    assert "Macro F1" in many
    assert "to test on, 9 labels:" in many
    assert "**Warning:** 75.0 % of the test texts have one label" in uneven
