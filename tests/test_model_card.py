"""The card of an exported model: each sentence says what it was given, and measures are those."""

import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn.metrics import balanced_accuracy_score, f1_score, roc_auc_score

from experiments import export, model_card
from stages.shared import params
from stages.shared.predictions import judge
from tests.conftest import PROJECT, tables_of

SETTINGS = params.load(PROJECT / "params.yaml")
DATA = {
    "name": "mine_1.csv", "labels": ["neg", "pos"], "train": [1160, 150], "test": [40, 45],
    "test_in_train": 3, "tokens": 12_345, "words": 1_678,
}  # fmt: skip
EVALUATION = {
    "learned": {"accuracy": 0.8123, "accuracy_std": 0.0234},
    "best": {"variant": "learned", "second": "tfidf"},
    "majority": 0.529,
}
METRICS = {"accuracy": (0.8, 0.7, 0.91), "macro_f1": (0.6, 0.5, 0.71)}
SOFTWARE = {"python": "3.11.7", "numpy": "2.0"}


def card(variant: str = "learned", **changes) -> str:
    data, evaluation = DATA | changes.pop("data", {}), EVALUATION | changes.pop("evaluation", {})
    return model_card.card(
        variant, SETTINGS, data, evaluation, METRICS, "Call it.", "Equal.", "the mean of 5 models",
        SOFTWARE,
    )  # fmt: skip


def test_the_card_says_what_the_model_is_and_on_what_it_was_measured():
    text, n = card(), len(SETTINGS.variants)
    assert text.startswith("# `learned`, trained on mine\\_1.csv\n\n")
    assert (
        "\nLabels a text: neg, pos. It is the mean of 5 models, trained on"
        f" {SETTINGS.train.samples:,} labelled texts drawn from the train split.\n" in text
    )
    assert "\n## How to use it\n\nCall it.\n" in text
    assert "a word a line, the first has id 1. Equal.\n" in text
    assert (
        "On 85 texts that it was not trained on. The intervals speak of other test texts, and not"
        " of other texts to train on. Always saying the most frequent label is right for 0.529. A"
        " single repeat has an accuracy of 0.812 on average (standard deviation 0.023). It is the"
        f" most accurate of {n} on these texts, so all this is rather too good.\n" in text
    )
    assert "- Texts of another kind than mine\\_1.csv: another subject" in text
    assert "\n- 3 test texts are in the train split too.\n" in text
    assert "The train split has 12,345 words, 1,678 of them distinct." in text
    tables = tables_of(text)
    assert tables["How good it is"][1:] == [
        ["accuracy", "0.800", "0.700 to 0.910"], ["macro F1", "0.600", "0.500 to 0.710"],
    ]  # fmt: skip
    assert tables["Data"][1:] == [["neg", "1,160", "40"], ["pos", "150", "45"]]
    assert tables["Software"][1:] == [["python", "3.11.7"], ["numpy", "2.0"]]


def test_the_card_leaves_out_what_does_not_hold():
    one = {"learned": {"accuracy": 0.8123, "accuracy_std": None}}
    text = card(data={"test_in_train": 0}, evaluation=one)
    assert "train split too" not in text
    assert "an accuracy of 0.812 on average. It is the most" in text
    for best in ({"variant": "tfidf", "second": "learned"}, {"variant": "learned", "second": None}):
        assert "0.812 on average (standard deviation 0.023).\n" in card(evaluation={"best": best})
    names = [f"label {i}" for i in range(21)]
    counts = {"labels": names, "train": [1] * 21, "test": [1] * 21}
    assert "Labels a text: 21 labels. It is" in card(data=counts)
    few = {key: value[:20] for key, value in counts.items()}
    assert f"Labels a text: {', '.join(names[:20])}. It is" in card(data=few)


def test_the_parameters_of_the_card_are_those_that_decided_the_model():
    own = {"pretrained": EVALUATION["learned"]}
    found = dict(tables_of(card("pretrained", evaluation=own))["Parameters"][1:])
    assert found["`seed`"] == str(SETTINGS.seed)
    assert found["`embed.glove.vectors`"] == "glove"
    assert found["`model.head`"] == SETTINGS.model.head
    assert found["`variants.pretrained.trainable`"] == "false"
    assert {"`download.vectors.glove.source`", "`tokenize.maxlen`", "`train.samples`"} <= {*found}
    assert not [key for key in found if "learned" in key or "random" in key]
    without = dict(tables_of(card())["Parameters"][1:])
    assert not [key for key in without if key.startswith("`download.vectors")]


def test_the_measures_are_those_of_scikit_learn_and_the_interval_is_of_wilson():
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 2, 60)
    mean = np.clip(0.3 + 0.3 * labels + generator.normal(0, 0.3, 60), 0, 1).astype(np.float32)
    found = model_card.measured(labels, judge(labels, mean[None]), None)
    predicted = (mean > 0.5).astype(int)
    right = int((predicted == labels).sum())
    ends = binomtest(right, 60).proportion_ci(0.95, "wilson")
    assert found["accuracy"] == pytest.approx((right / 60, ends.low, ends.high))
    assert found["balanced_accuracy"][0] == pytest.approx(
        balanced_accuracy_score(labels, predicted)
    )
    assert found["macro_f1"][0] == pytest.approx(f1_score(labels, predicted, average="macro"))
    assert found["roc_auc"][0] == pytest.approx(roc_auc_score(labels, mean))
    grouped = model_card.measured(labels, judge(labels, mean[None]), np.arange(60) // 10)
    assert grouped["accuracy"][0] == found["accuracy"][0]
    assert grouped["accuracy"][1:] != found["accuracy"][1:]


def test_a_model_that_does_not_run_alone_says_why(tmp_path):
    with pytest.raises(RuntimeError, match="No module named 'classify'"):
        export.run_alone(tmp_path, "linear", ["a text"])


def test_how_equal_the_exported_model_is_counts_texts_that_are_further_away():
    expected = np.array([[0.2, 0.8], [0.5, 0.5], [1, 0]], np.float32)
    near, far = expected.copy(), expected.copy()
    near[0] += [4e-7, -4e-7]
    said = "On 3 test texts, loaded without the project, its probabilities differ from those of"
    assert export.how_equal(near, expected) == f"{said} the pipeline by at most 4e-07."
    far[1] = [0.4, 0.6]
    assert export.how_equal(far, expected).startswith(
        f"{said} the pipeline by at most 0.1; 1 text by more than {export.EQUAL:g}. A few capital"
    )
