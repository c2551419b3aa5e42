"""Every number that the pipeline writes, worked out again by other means.

One small project, uneven on purpose: other numbers of texts for each label and split, the label
that comes first in the alphabet as the positive one, variants out of order. Nothing of the code
under test is called; numpy, pandas and scikit-learn compute from the texts on.
"""

import json
import re
from collections import Counter
from itertools import pairwise
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
import yaml
from keras.src.legacy.preprocessing.text import text_to_word_sequence
from scipy import stats
from sklearn import metrics
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.utils.extmath import randomized_svd

from stages.shared.draws import generator_for
from tests.conftest import edit_params

COUNTS = {("train", "good"): 70, ("train", "bad"): 60, ("test", "good"): 34, ("test", "bad"): 45}
LABELS = ["good", "bad"]  # bad is asked for as the positive one
NUM_WORDS, NUM_BIGRAMS, MAXLEN, DIM, WIDTH = 300, 40, 25, 6, 8
REPEATS, EPOCHS, SAMPLES, VALIDATION, SEED = 3, 5, 70, 55, 7
VARIANTS = {
    "pretrained": {"vectors": "glove", "trainable": False},
    "zebra": {"vectors": "adapted", "trainable": False},
    "learned": {"vectors": "random", "trainable": True},
    "finetuned": {"vectors": "glove", "trainable": True},
}


@pytest.fixture(scope="module")
def texts(imdb) -> pd.DataFrame:
    """The texts as a user would bring them: split, label, text, and the film that each is of."""
    table = imdb.to_pandas()
    parts = []
    for (split, label), n_texts in COUNTS.items():
        rows = table[(table["split"] == split) & (table["label"] == (label == "good"))]
        part = rows[:n_texts].assign(split=split, label=label)
        parts.append(part)
    shuffled = pd.concat(parts).sample(frac=1, random_state=3).reset_index(drop=True)
    films = np.random.default_rng(3).integers(0, 90, len(shuffled))
    return shuffled.assign(film=[f"film {number}" for number in films])


@pytest.fixture(scope="module")
def vectors(vocabulary) -> dict[str, np.ndarray]:
    """A vector for two words of three."""
    generator = np.random.default_rng(5)
    words = [word for i, word in enumerate(vocabulary) if i % 3]
    return {word: generator.normal(size=WIDTH).round(3).astype(np.float32) for word in words}


@pytest.fixture(scope="module")
def root(texts, vectors, make_project, run_stages, made_once) -> Path:
    """The project, run once."""

    def build(root: Path) -> None:
        make_project(root)
        texts.to_csv(root / "texts.csv", index=False)
        lines = (" ".join([word, *map(str, vector)]) + "\n" for word, vector in vectors.items())
        (root / "glove.txt").write_text("".join(lines), encoding="utf-8")
        content = yaml.safe_load((root / "params.yaml").read_text())
        content["download"]["texts"] |= {
            "source": "table", "path": "texts.csv", "split": "split", "positive": "bad",
            "group": "film",
        }  # fmt: skip
        content["download"]["vectors"]["glove"]["path"] = "glove.txt"
        content["embed"] = {
            "random": {"dim": DIM}, "glove": {"vectors": "glove"},
            "adapted": {"vectors": "glove", "fitted": 5},
        }  # fmt: skip
        content["variants"] = VARIANTS
        (root / "params.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
        edit_params(
            root,
            seed=SEED,
            tokenize__num_words=NUM_WORDS,
            tokenize__num_bigrams=NUM_BIGRAMS,
            tokenize__maxlen=MAXLEN,
            model__head="mean",
            model__hidden_units=4,
            train__samples=SAMPLES,
            train__validation_samples=VALIDATION,
            train__repeats=REPEATS,
            train__epochs=EPOCHS,
            train__learning_rate=0.1,
        )
        run_stages(root)

    return made_once("values", build)


@pytest.fixture(scope="module")
def split(texts):
    """Texts and labels (1 is bad) of a split, in the user's order."""

    def of(name: str) -> tuple[list[str], np.ndarray]:
        rows = texts[texts["split"] == name]
        return rows["text"].tolist(), (rows["label"] == "bad").to_numpy().astype(int)

    return of


@pytest.fixture(scope="module")
def groups(texts) -> np.ndarray:
    """The film of each text of the test split, in the user's order."""
    return texts[texts["split"] == "test"]["film"].to_numpy()


@pytest.fixture(scope="module")
def vocabulary(split) -> list[str]:
    """The words of the train split, the most frequent first, by Keras' own cutting of texts."""
    counts = Counter(word for text in split("train")[0] for word in text_to_word_sequence(text))
    return [word for word, _ in counts.most_common()]


@pytest.fixture(scope="module")
def sequences(split, vocabulary):
    """Ids of a split's words, then of its pairs, each padded on the left."""
    id_of = {word: i for i, word in enumerate(vocabulary[: NUM_WORDS - 1], 1)}

    def in_words(name: str) -> list[list[int]]:
        kept = (
            [id_of[word] for word in text_to_word_sequence(text) if word in id_of]
            for text in split(name)[0]
        )
        return [ids[-MAXLEN:] for ids in kept]

    pairs = Counter(pair for ids in in_words("train") for pair in pairwise(ids))
    frequent = sorted(pairs, key=lambda pair: (-pairs[pair], pair))[:NUM_BIGRAMS]
    pair_id = {pair: NUM_WORDS + i for i, pair in enumerate(frequent)}

    def of(name: str) -> np.ndarray:
        rows = []
        for ids in in_words(name):
            of_pairs = [pair_id.get(pair, 0) for pair in pairwise(ids)]
            words = [0] * (MAXLEN - len(ids)) + ids
            rows.append(words + [0] * (2 * MAXLEN - 1 - MAXLEN - len(of_pairs)) + of_pairs)
        return np.array(rows)

    return of


def table(root: Path, name: str) -> pd.DataFrame:
    return pd.read_csv(root / name, keep_default_na=False, na_values=[""])


@pytest.fixture(scope="module")
def evaluation(root) -> dict:
    return json.loads((root / "metrics/evaluation.json").read_text())


@pytest.fixture(scope="module")
def predictions(root) -> dict[str, np.ndarray]:
    """Probabilities of label 1 by variant: (repeats, texts)."""
    frame = pd.read_parquet(root / "data/predictions/test.parquet")
    return {
        variant: rows.pivot(index="repeat", columns="row", values="probability").to_numpy()
        for variant, rows in frame.groupby("variant", observed=True)
    }


def test_words_and_pairs_are_those_of_the_train_split(root, vocabulary, sequences):
    words = pd.read_parquet(root / "data/sequences/vocabulary.parquet")
    assert words["word"].tolist() == vocabulary
    for name in ("train", "test"):
        found = np.load(root / f"data/sequences/{name}/sequences.npy")
        np.testing.assert_array_equal(found, sequences(name))
    assert (sequences("test")[:, MAXLEN:] > 0).any()  # else nothing was tested


def test_labels_groups_and_counts_are_the_users(root, texts, split, groups, vocabulary):
    for name in ("train", "test"):
        labels = np.load(root / f"data/sequences/{name}/labels.npy")
        np.testing.assert_array_equal(labels, split(name)[1])
    tokens = [word for text in split("train")[0] for word in text_to_word_sequence(text)]
    data = json.loads((root / "metrics/data.json").read_text())
    assert data == {
        "name": "texts.csv", "labels": LABELS, "train": [70, 60], "test": [34, 45],
        "test_in_train": 0, "two_labels": 0, "words": len(vocabulary), "tokens": len(tokens),
        "test_groups": len({*groups}),
    }  # fmt: skip
    landed = pd.read_parquet(root / "data/raw/texts.parquet")
    in_order = pd.concat(texts[texts["split"] == name] for name in ("train", "test"))
    assert landed["group"].dtype == np.int32
    assert landed["group"].tolist() == pd.factorize(in_order["film"])[0].tolist()


def test_each_row_of_a_matrix_is_its_words_vector(root, vectors, vocabulary):
    matrix = np.load(root / "data/embeddings/glove.npy")
    assert matrix.shape == (NUM_WORDS + NUM_BIGRAMS, WIDTH)
    kept = vocabulary[: NUM_WORDS - 1]
    expected = np.zeros_like(matrix)
    for i, word in enumerate(kept, 1):
        expected[i] = vectors.get(word, 0)
    np.testing.assert_array_equal(matrix, expected)
    assert matrix.any()

    drawn = generator_for(SEED, 0, "embedding").random((NUM_WORDS + NUM_BIGRAMS, DIM), np.float32)
    expected = np.where(np.arange(len(drawn))[:, None] > 0, (2 * drawn - 1) * 0.05, 0)
    np.testing.assert_allclose(np.load(root / "data/embeddings/random.npy"), expected, atol=1e-7)


def test_the_coverage_counts_words_and_tokens(root, vectors, split, vocabulary):
    tokens = [word for text in split("train")[0] for word in text_to_word_sequence(text)]
    kept = vocabulary[: NUM_WORDS - 1]
    found = json.loads((root / "metrics/coverage.json").read_text())
    assert found["glove"] == found["adapted"]  # the same file of vectors
    found = found["glove"]
    assert found["tokens"] == len(tokens)
    assert found["words"] == len(vocabulary)
    share = np.mean([word in vectors for word in tokens])
    assert found["share_of_tokens"] == pytest.approx(share, abs=5e-5)
    share = np.mean([word in vectors for word in kept])
    assert found["share_of_words_kept"] == pytest.approx(share, abs=5e-5)
    missing = [word for word in kept if word not in vectors]
    assert found["most_frequent_without_vector"] == missing[:20]


def test_the_adapted_matrix_has_the_vectors_beside_columns_fitted_to_the_text(root, sequences):
    rows = sequences("train")
    counts = np.zeros((len(rows), NUM_WORDS + NUM_BIGRAMS))
    for row, ids in zip(counts, rows, strict=True):
        np.add.at(row, ids[ids > 0], 1)
    tf_idf = TfidfTransformer(sublinear_tf=True).fit(counts)
    drawn = int(generator_for(SEED, 0, "fitted").integers(2**32))
    _, spread, components = randomized_svd(
        tf_idf.transform(counts), 5, n_iter=4, random_state=drawn
    )
    in_texts = (counts > 0).any(axis=0)
    fitted = (components[:5].T * spread[:5]) * (tf_idf.idf_ * in_texts)[:, None]

    def centred(vectors: np.ndarray) -> np.ndarray:
        known = vectors.any(axis=1)
        totals = counts.sum(axis=0) * known
        moved = np.where(known[:, None], vectors - totals @ vectors / totals.sum(), 0)
        means = counts @ moved / counts.sum(axis=1, keepdims=True)
        return moved / np.sqrt((means**2).sum(axis=1).mean())

    found = np.load(root / "data/embeddings/adapted.npy")
    glove = np.load(root / "data/embeddings/glove.npy").astype(float)
    np.testing.assert_allclose(found[:, :WIDTH], 0.3 * centred(glove), atol=1e-5)
    expected = centred(fitted)
    np.testing.assert_allclose(found[:, WIDTH:], expected, atol=1e-3)


def weights(root: Path, variant: str, repeat: int) -> list[np.ndarray]:
    """The embedding matrix, then kernel and bias of the two layers above it."""
    with h5py.File(root / f"data/models/{variant}/repeat_{repeat}.weights.h5") as file:
        layers = file["layers"]
        dense = [name for name in layers if name.startswith("dense")]
        dense.sort(key=lambda name: -layers[name]["vars/1"].shape[0])
        arrays = [layers["embedding/vars/0"][:]]
        return arrays + [layers[name][f"vars/{i}"][:] for name in dense for i in (0, 1)]


def test_each_repeat_of_each_variant_is_scored_on_the_test_split(root, sequences, predictions):
    rows = sequences("test")
    assert {*predictions} == {*VARIANTS}
    for variant, found in predictions.items():
        assert found.shape == (REPEATS, 79)
        for repeat in range(REPEATS):
            matrix, *dense = weights(root, variant, repeat)
            real = (rows > 0)[..., None]
            mean = (matrix[rows] * real).sum(axis=1) / np.maximum(real.sum(axis=1), 1)
            hidden = np.maximum(mean @ dense[0] + dense[1], 0)
            logit = (hidden @ dense[2] + dense[3])[:, 0]
            np.testing.assert_allclose(found[repeat], 1 / (1 + np.exp(-logit)), atol=1e-5)
        assert len({tuple(row) for row in found}) == REPEATS


def test_what_is_not_trained_stays_and_what_is_trained_starts_from_its_own_matrix(root):
    for variant, vectors in (("pretrained", "glove"), ("zebra", "adapted")):
        start = np.load(root / f"data/embeddings/{vectors}.npy")
        for repeat in range(REPEATS):
            np.testing.assert_array_equal(weights(root, variant, repeat)[0], start)
    start = np.load(root / "data/embeddings/glove.npy")
    for repeat in range(REPEATS):
        moved = weights(root, "finetuned", repeat)[0]
        distance = np.abs(moved - start).max(axis=1)
        assert distance.max() > 0
        assert (distance == 0).any()  # a word that is in no text of the draw


def correct(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    return (probabilities > 0.5) == (labels == 1)


def f1(labels: np.ndarray, predicted: np.ndarray) -> float:
    return metrics.f1_score(labels, predicted, average="macro")


def test_each_metric_is_a_mean_over_repeats(evaluation, predictions, split):
    labels = split("test")[1]
    assert set(evaluation) == {*VARIANTS, "gap", "best", "majority"}
    for variant, rows in predictions.items():
        right = correct(rows, labels)
        per_class = [right[:, labels == label].mean(axis=1) for label in (0, 1)]
        expected = {
            "accuracy": right.mean(),
            "balanced_accuracy": np.mean(per_class),
            "accuracy_std": right.mean(axis=1).std(ddof=1),
            "macro_f1": np.mean([f1(labels, row > 0.5) for row in rows]),
            "log_loss": np.mean([metrics.log_loss(labels, row) for row in rows]),
            "roc_auc": np.mean([metrics.roc_auc_score(labels, row) for row in rows]),
            "largest_share": np.mean([max((r > 0.5).mean(), (r <= 0.5).mean()) for r in rows]),
        }
        assert evaluation[variant] == pytest.approx(expected, abs=6e-5), variant
    assert evaluation["majority"] == pytest.approx(34 / 79, abs=5e-5)  # good, of the train split


def half_width(d: np.ndarray, groups: np.ndarray) -> float:
    """The half-width of a gap's interval, by sums over texts, each draw more than half of a pool.

    d (repeats, texts), groups the group of each text.
    """
    n_repeats, n_texts = d.shape
    by_repeat, by_text = d.mean(axis=1), d.mean(axis=0)
    residual = d - by_repeat[:, None] - by_text + d.mean()
    names, sizes = np.unique(groups, return_counts=True)

    def squares(row: np.ndarray) -> float:
        sums = [row[groups == name].sum() for name in names]
        return len(names) / (len(names) - 1) * np.square(sums).sum()

    variance = by_repeat.var(ddof=1)  # of one repeat
    of_texts = squares(by_text - d.mean()) / n_texts**2
    of_residual = np.mean([squares(row) for row in residual]) / n_texts**2 / (n_repeats - 1)
    overlap = SAMPLES / 130
    t = stats.t.ppf(0.975, n_repeats - 1)
    z = stats.t.ppf(0.975, n_texts**2 / np.square(sizes).sum() - 1)
    of_repeats = t**2 * variance * (1 / n_repeats + overlap / (1 - overlap))
    return np.sqrt(of_repeats + z**2 * max(of_texts - of_residual, 0))


def placed(labels: np.ndarray, row: np.ndarray) -> np.ndarray:
    """What each text adds to the area under the ROC curve: every pair of texts is compared."""
    pairs = row[labels == 1][:, None], row[labels == 0]
    above = (pairs[0] > pairs[1]) + (pairs[0] == pairs[1]) / 2
    values = np.full(len(labels), above.mean())
    for label, axis in ((1, 1), (0, 0)):
        values[labels == label] += (above.mean(axis=axis) - above.mean()) / np.mean(labels == label)
    return values


def test_each_gap_is_the_variant_less_learned_repeat_by_repeat(
    evaluation, predictions, split, groups
):
    labels, gaps = split("test")[1], evaluation["gap"]
    assert list(gaps) == ["pretrained-learned", "zebra-learned", "finetuned-learned"]
    for name, gap in gaps.items():
        variant = name.removesuffix("-learned")
        for metric in ("accuracy", "roc_auc", "balanced_accuracy", "macro_f1"):
            difference = evaluation[variant][metric] - evaluation["learned"][metric]
            assert gap[metric] == pytest.approx(difference, abs=1.1e-4)
        both = [predictions[of] for of in (variant, "learned")]
        right = [correct(rows, labels).astype(float) for rows in both]
        areas = [np.stack([placed(labels, row) for row in rows]) for rows in both]
        for metric, (own, reference) in (("accuracy", right), ("roc_auc", areas)):
            d = own - reference
            half = half_width(d, groups)
            assert gap[f"{metric}_low"] == pytest.approx(max(d.mean() - half, -1), abs=6e-5)
            assert gap[f"{metric}_high"] == pytest.approx(min(d.mean() + half, 1), abs=6e-5)


def test_the_best_is_compared_with_the_second(evaluation, predictions, split, groups):
    labels, best = split("test")[1], evaluation["best"]
    accuracy = {name: correct(rows, labels).mean() for name, rows in predictions.items()}
    first, second, *_ = sorted(accuracy, key=accuracy.get, reverse=True)
    assert (best["variant"], best["second"]) == (first, second)
    for name in (second, *VARIANTS):
        d = correct(predictions[first], labels) - correct(predictions[name], labels).astype(float)
        low = d.mean() - half_width(d, groups)
        assert (name in best["undecided"]) == (name != first and low <= 0)
        if name == second:
            assert best["accuracy"] == pytest.approx(d.mean(), abs=6e-5)
            assert best["accuracy_low"] == pytest.approx(max(low, -1), abs=6e-5)
    d = correct(predictions[first], labels) - evaluation["majority"]
    assert best["over_majority"] == pytest.approx(
        accuracy[first] - evaluation["majority"], abs=1e-4
    )
    assert best["over_majority_low"] == pytest.approx(d.mean() - half_width(d, groups), abs=1e-4)
    assert best["over_texts_low"] < accuracy[first] < best["over_texts_high"]


def test_what_further_draws_are_worth_is_by_the_gaps_of_the_repeats(
    root, predictions, split, groups
):
    labels, planning = split("test")[1], json.loads((root / "metrics/planning.json").read_text())
    right = {name: correct(rows, labels).astype(float) for name, rows in predictions.items()}
    found = {tuple(name.split("-")): plan for name, plan in planning["gap"].items()}
    assert {name for name, _ in found} == {*VARIANTS} - {"learned"}
    found[planning["best"]["variant"], planning["best"]["second"]] = planning["best"]
    for (name, other), plan in found.items():
        d = right[name] - right[other]
        half, gaps = half_width(d, groups), d.mean(axis=1)
        assert plan["gap"] == pytest.approx(d.mean(), abs=1e-6)
        assert plan["half_width"] == pytest.approx(half, abs=1e-6)
        assert plan["half_width_of_any_draws"] < half
        assert half < plan["smallest_gap"] < 2 * half
        t = gaps.mean() / (gaps.std(ddof=1) * np.sqrt(1 + 1 / REPEATS))
        assert plan["chance"] == pytest.approx(stats.t.cdf(t, REPEATS - 1), abs=1e-6)
        assert plan["draws"] is None


def test_confusion_roc_and_history_are_means_over_repeats(root, predictions, split):
    labels = split("test")[1]
    confusion = table(root, "metrics/confusion.csv").set_index(["variant", "actual", "predicted"])
    names = json.loads((root / "metrics/data.json").read_text())["labels"]
    roc = table(root, "metrics/roc.csv")
    history = table(root, "metrics/history.csv").set_index(["variant", "split", "epoch"])
    for variant, rows in predictions.items():
        for actual in (0, 1):
            for predicted in (0, 1):
                of = (rows > 0.5) == predicted
                count = of[:, labels == actual].sum(axis=1).mean()
                row = confusion.loc[variant, names[actual], names[predicted]]
                assert row["texts"] == pytest.approx(count, abs=1e-4)
                assert row["share"] == pytest.approx(count / (labels == actual).sum(), abs=1e-4)
        curve = roc[roc["variant"] == variant]
        for _, point in curve[1:].iterrows():
            heights = []
            for row in rows:
                false, true, _ = metrics.roc_curve(labels, row)
                heights.append(np.interp(point["false_positive_rate"], false, true))
            assert point["true_positive_rate"] == pytest.approx(np.mean(heights), abs=1e-4)
        epochs = table(root, f"metrics/training/{variant}.csv")
        assert epochs["repeat"].tolist() == np.repeat(range(REPEATS), EPOCHS).tolist()
        assert epochs["epoch"].tolist() == [*range(1, EPOCHS + 1)] * REPEATS
        for epoch, rows_of in epochs.groupby("epoch"):
            for name, prefix in (("train", ""), ("validation", "val_")):
                for measure in ("accuracy", "loss"):
                    expected = rows_of[f"{prefix}{measure}"].mean()
                    found = history.loc[variant, name, epoch][measure]
                    assert found == pytest.approx(expected, abs=1e-6)


def test_calibration_and_lengths_are_of_these_predictions(root, predictions, split):
    texts, labels = split("test")
    calibration = table(root, "data/report/calibration.csv")
    lengths = table(root, "data/report/lengths.csv")
    n_words = np.array([len(text_to_word_sequence(text)) for text in texts])
    np.testing.assert_array_equal(np.load(root / "data/sequences/test/lengths.npy"), n_words)
    for variant, rows in predictions.items():
        for repeat, row in enumerate(rows):
            top = np.maximum(row, 1 - row).astype(float)
            frame = pd.DataFrame({"p": top, "right": (row > 0.5) == labels})
            inner = np.percentile(top, np.linspace(0, 100, 11))[1:-1]
            frame["bin"] = [(of > inner).sum() for of in top]
            expected = frame.groupby("bin").agg(predicted=("p", "mean"), right=("right", "mean"))
            of_repeat = calibration["repeat"] == repeat
            found = calibration[of_repeat & (calibration["variant"] == variant)]
            np.testing.assert_allclose(found[["predicted", "right"]], expected, atol=1e-4)
        found = lengths[lengths["variant"] == variant]
        assert found["texts"].sum() == len(labels)
        for _, row in found.iterrows():
            chosen = (n_words >= row["words_from"]) & (n_words <= row["words_to"])
            assert chosen.sum() == row["texts"]
            accuracy = correct(rows, labels)[:, chosen].mean()
            assert row["accuracy"] == pytest.approx(accuracy, abs=1e-4)


def test_each_table_has_its_columns_and_no_other(root):
    of_metrics = {
        "history": "variant,split,epoch,loss,accuracy",
        "roc": "variant,false_positive_rate,true_positive_rate",
        "confusion": "variant,actual,predicted,texts,share",
        "training/learned": "repeat,epoch,loss,accuracy,val_loss,val_accuracy",
        "scores": "variant,repeat,accuracy,balanced_accuracy,macro_f1,log_loss,roc_auc",
    }
    of_report = {
        "pictured": "variant,matrix,word,label,x,y",
        "neighbours": "variant,matrix,word,neighbours",
        "moved": "variant,word,distance,before,after",
        "calibration": "variant,repeat,predicted,right",
        "classes": "variant,class,texts,precision,recall,f1",
        "confusion": "variant,actual,predicted,texts,share",
        "lengths": "variant,words_from,words_to,texts,accuracy",
        "disagreements": "variant,kind,row,label,learned,other,text",
    }
    files = {f"metrics/{name}.csv": header for name, header in of_metrics.items()}
    files |= {f"data/report/{name}.csv": header for name, header in of_report.items()}
    for name, header in files.items():
        assert (root / name).read_text().split("\n", 1)[0].replace('"', "") == header
    assert {path.stem for path in (root / "data/report").iterdir()} == {*of_report}


def test_the_scores_of_each_repeat_are_what_the_metrics_average(
    root, evaluation, predictions, split
):
    scores = table(root, "metrics/scores.csv")
    assert scores["repeat"].tolist() == [*range(REPEATS)] * len(VARIANTS)
    for variant, of in scores.groupby("variant"):
        areas = [metrics.roc_auc_score(split("test")[1], row) for row in predictions[variant]]
        assert of["roc_auc"].tolist() == pytest.approx(areas, abs=1e-6)
        for name in ("accuracy", "balanced_accuracy", "macro_f1", "log_loss", "roc_auc"):
            assert of[name].mean() == pytest.approx(evaluation[variant][name], abs=6e-5)


def test_disagreements_quote_the_texts_that_one_got_right_and_the_other_wrong(
    root, predictions, split
):
    texts, labels = split("test")
    found = table(root, "data/report/disagreements.csv")
    learned, other = (predictions[name].mean(axis=0) for name in ("learned", "pretrained"))
    for kind, right, wrong in (
        ("pretrained right, learned wrong", other, learned),
        ("learned right, pretrained wrong", learned, other),
    ):
        chosen = np.flatnonzero(correct(right, labels) & ~correct(wrong, labels))
        expected = chosen[np.argsort(-np.abs(learned - other)[chosen], kind="stable")][:10]
        rows = found[found["kind"] == kind]
        assert rows["row"].tolist() == expected.tolist()
        for _, row in rows.iterrows():
            i = row["row"]
            assert row["label"] == labels[i]
            assert texts[i].endswith(row["text"].removeprefix("…"))
            for column, of in (("learned", learned), ("other", other)):
                own = of[i] if labels[i] else 1 - of[i]
                assert row[column] == pytest.approx(own, abs=1e-4)
    assert len(found) > 0


def cosines(matrix: np.ndarray, own: int) -> np.ndarray:
    norms = np.linalg.norm(matrix, axis=1) * np.linalg.norm(matrix[own])
    return np.divide(matrix @ matrix[own], norms, out=np.zeros(len(matrix)), where=norms > 0)


def test_the_tables_of_words_are_of_repeat_0_and_of_the_train_split(
    root, split, sequences, vocabulary
):
    _, labels = split("train")
    names = ["", *vocabulary[: NUM_WORDS - 1]]
    in_text = np.zeros((len(labels), NUM_WORDS), bool)
    for row, ids in zip(in_text, sequences("train")[:, :MAXLEN], strict=True):
        row[ids] = True
    z = {}
    for i in range(1, NUM_WORDS):
        a, b = in_text[labels == 1, i].sum() + 0.5, in_text[labels == 0, i].sum() + 0.5
        c, d = (labels == 1).sum() + 1 - a, (labels == 0).sum() + 1 - b
        if in_text[:, i].sum() >= 0.005 * len(labels):
            z[names[i]] = np.log(a * d / (b * c)) / np.sqrt(1 / a + 1 / b + 1 / c + 1 / d)
    ranked = sorted(z, key=z.get)
    pictured = table(root, "data/report/pictured.csv")["word"].drop_duplicates().tolist()
    assert len(pictured) == 30
    assert min(z[word] for word in pictured[:15]) >= z[ranked[-15]] - 1e-9  # speak for bad
    assert max(z[word] for word in pictured[15:]) <= z[ranked[14]] + 1e-9

    neighbours = table(root, "data/report/neighbours.csv")
    assert {*neighbours["variant"]} == {*VARIANTS}
    moved = table(root, "data/report/moved.csv")
    for variant, settings in VARIANTS.items():
        start = np.load(root / f"data/embeddings/{settings['vectors']}.npy")[:NUM_WORDS]
        matrices = {"initial": start, "trained": weights(root, variant, 0)[0][:NUM_WORDS]}
        for _, row in neighbours[neighbours["variant"] == variant].iterrows():
            own, matrix = names.index(row["word"]), matrices[row["matrix"]].astype(float)
            if not matrix[own].any():
                assert pd.isna(row["neighbours"])
                continue
            cosine = cosines(matrix, own)
            near = [names.index(word) for word in row["neighbours"].split(", ")]
            assert len(near) == 6
            others = np.delete(cosine, [0, own, *near])
            assert cosine[near].min() >= others.max() - 1e-5
            assert list(cosine[near]) == sorted(cosine[near], reverse=True) or np.allclose(
                cosine[near], np.sort(cosine[near])[::-1], atol=1e-5
            )
        rows = moved[moved["variant"] == variant]
        assert bool(len(rows)) == settings["trainable"]
        for _, row in rows.iterrows():
            own = names.index(row["word"])
            pair = np.stack([matrices["initial"][own], matrices["trained"][own]]).astype(float)
            assert row["distance"] == pytest.approx(1 - cosines(pair, 0)[1], abs=1e-4)
            for column, phase in (("before", "initial"), ("after", "trained")):
                cosine = cosines(matrices[phase].astype(float), own)
                nearest = names.index(row[column].split(", ")[0])
                assert cosine[nearest] >= np.delete(cosine, [0, own]).max() - 1e-5


def read_tables(page: str) -> list[pd.DataFrame]:
    """Every table of a Markdown page, without its marks."""
    found = []
    for block in re.findall(r"(?:^\|.*\|\n)+", page, re.MULTILINE):
        header, rule, *rows = (
            [re.sub(r"[*`\\]", "", cell).strip() for cell in line[1:-1].split(" | ")]
            for line in block.splitlines()
        )
        assert all(re.fullmatch("---|--:", cell) for cell in rule)
        found.append(pd.DataFrame(rows, columns=header))
    return found


def test_every_number_of_the_report_is_one_of_the_metrics(root, evaluation, groups):
    page = (root / "metrics/report.md").read_text().replace("\N{MINUS SIGN}", "-")
    results, *_ = tables = read_tables(page)
    assert results["variant"].tolist() == [*VARIANTS, "majority"]
    *rows, (_, majority) = results.iterrows()
    assert float(majority["accuracy"]) == pytest.approx(evaluation["majority"], abs=6e-4)
    assert "good" in majority["starts from"]
    for _, row in rows:
        own = evaluation[row["variant"]]
        mean, spread = map(float, row["accuracy"].split(" ± "))
        shown = ["balanced accuracy", "macro F1", "log loss", "ROC AUC"]
        keys = ("balanced_accuracy", "macro_f1", "log_loss", "roc_auc")
        assert [mean, spread] == pytest.approx([own["accuracy"], own["accuracy_std"]], abs=6e-4)
        assert [float(row[of]) for of in shown] == pytest.approx([own[k] for k in keys], abs=6e-4)
        for column, metric in (("gap in accuracy", "accuracy"), ("gap in ROC AUC", "roc_auc")):
            if row["variant"] == "learned":
                assert row[column] == ""
                continue
            gap = evaluation["gap"][f"{row['variant']}-learned"]
            said = [float(n) for n in re.findall(r"-?\d+\.\d+", row[column])]
            expected = [gap[f"{metric}{end}"] for end in ("", "_low", "_high")]
            assert said == pytest.approx(expected, abs=6e-4)

    best = max(VARIANTS, key=lambda name: evaluation[name]["accuracy"])
    assert f"`{best}` labels {100 * evaluation[best]['accuracy']:.1f} % right" in page or (
        f"The most accurate, `{best}`, labels {100 * evaluation[best]['accuracy']:.1f} %" in page
    )
    for name in evaluation["best"]["undecided"]:
        assert re.search(f"not significantly more than [^;]*`{name}`", page)
    assert f"always saying good is right for {100 * evaluation['majority']:.1f} %" in page
    assert f"`{best}` ranks a text labelled" in page
    assert f"{100 * evaluation[best]['roc_auc']:.0f} % of pairs" in page
    assert "**Warning:** each draw holds 54 % of the train split" in page
    assert f"the test split has {len({*groups})} groups" in page
    sizes = next(t for t in tables if "how many" in t).set_index("what")["how many"]
    assert sizes["texts of the train split"] == "130"
    assert sizes["texts of the test split"] == "79"
    assert sizes.loc["of these, labelled good"].tolist() == ["70", "34"]
    assert sizes.loc["of these, labelled bad"].tolist() == ["60", "45"]
    assert sizes["of these, drawn to train on"] == str(SAMPLES)

    planning = json.loads((root / "metrics/planning.json").read_text())
    rows = next(t for t in tables if "compared" in t).set_index("compared")
    for name, plan in planning["gap"].items():
        row = rows.loc[name.replace("-", " against ")]
        gap, half = map(float, row["gap in points"].split(" ± "))
        assert [gap, half, float(row["smallest gap to be found"])] == pytest.approx(
            [100 * plan[key] for key in ("gap", "half_width", "smallest_gap")], abs=0.06
        )
        assert f"{100 * plan['chance']:.0f} %" in row["wins one further draw"]
        assert row["draws for ± 1 point"] == "no number"

    lengths = next(t for t in tables if "texts" in t)
    csv = table(root, "data/report/lengths.csv")
    for _, row in csv.iterrows():
        words = f"{row['words_from']:,} to {row['words_to']:,}"
        [cell] = lengths[lengths["words"] == words][row["variant"]]
        assert float(cell) == pytest.approx(row["accuracy"], abs=6e-4)

    neighbours, moved = (
        table(root, f"data/report/{name}.csv")
        .fillna("")
        .replace(r"[\x00-\x1f\x7f-\x9f]", "\ufffd", regex=True)
        for name in ("neighbours", "moved")
    )
    for section in re.split(r"^### Words in ", page, flags=re.MULTILINE)[1:]:
        variant = re.match(r"`(\w+)`", section)[1]
        near, *rest = read_tables(section.partition("\n## ")[0])
        csv = neighbours[neighbours["variant"] == variant].pivot(
            index="word", columns="matrix", values="neighbours"
        )
        for _, row in near.iterrows():
            after = row["nearest after training"]
            expected = csv.loc[row["word"]]
            assert row["nearest before training"] == expected["initial"]
            assert (expected["initial"] if after == "the same" else after) == expected["trained"]
        if rest:
            csv = moved[moved["variant"] == variant].set_index("word")
            for _, row in rest[0].iterrows():
                expected = csv.loc[row["word"]]
                assert row["nearest before training"] == expected["before"]
                assert row["nearest after training"] == expected["after"]
                assert float(row["cosine distance"]) == pytest.approx(
                    expected["distance"], abs=6e-4
                )

    quoted = table(root, "data/report/disagreements.csv").set_index("row")
    quotes = re.findall(
        r"\*\*(\w+)\*\*, text (\d+); probability of this: `learned` (\S+), `pretrained` (\S+)\n"
        r">\n> “(.*?)”", page,
    )  # fmt: skip
    assert len(quotes) == len(quoted)
    for label, review, learned, other, text in quotes:
        row = quoted.loc[int(review)]
        assert label == LABELS[row["label"]]
        assert (float(learned), float(other)) == pytest.approx(
            (row["learned"], row["other"]), abs=6e-3
        )
        assert " ".join(row["text"].split())[-30:] in re.sub(r"\\(?=[^\w\s])", "", text).replace(
            "\\_", "_"
        )
