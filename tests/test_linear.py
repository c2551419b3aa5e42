"""The linear baseline, beside scikit-learn's own way from texts to probabilities."""

import sys

import numpy as np
import pandas as pd
import pytest
import yaml
from sklearn.feature_extraction.text import TfidfTransformer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import cross_val_predict

import stages.embed.__main__ as embed
import stages.train.__main__ as train
from stages.predict import models
from stages.shared import artifacts, params, tf_idf
from stages.shared.draws import draw_folds, draw_rows, generator_for
from stages.train import linear
from tests.conftest import PROJECT, edit_params

N_WORDS, MAXLEN, SAMPLES, VALIDATION, SEED = 30, 12, 80, 50, 5
TUNE = {"learning_rates": [0.1], "folds": 4}


def predicted(path, sequences):
    """The probabilities that saved weights give."""
    [scores], _ = models.by_regressions([path], sequences)
    return scores


@pytest.fixture
def trained(tmp_path, monkeypatch):
    """Embeds and trains the baseline on 200 texts of made-up words; returns sequences, labels."""
    monkeypatch.chdir(tmp_path)
    content = yaml.safe_load((PROJECT / "params.yaml").read_text())
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(content))
    edit_params(
        tmp_path, seed=SEED, tokenize__num_words=N_WORDS + 1, train__samples=SAMPLES,
        train__validation_samples=VALIDATION, train__repeats=2,
        embed={"tfidf": {"texts": "tf-idf"}, "random": {"dim": 2}},
        variants={
            "learned": {"vectors": "random", "trainable": True},
            "tfidf": {"vectors": "tfidf", "trainable": False},
        },
    )  # fmt: skip
    generator = np.random.default_rng(1)
    labels = (generator.random(200) < 0.4).astype(np.int8)
    words = generator.integers(1, N_WORDS + 1, (200, MAXLEN))
    telling = generator.random((200, MAXLEN)) < 0.15
    words = np.where(telling, 1 + labels[:, None] * 2, words).astype(np.int32)
    words[generator.random((200, MAXLEN)) < 0.2] = 0
    folder = artifacts.split("train")
    folder.mkdir(parents=True)
    np.save(folder / "sequences.npy", words)
    np.save(folder / "labels.npy", labels)
    table = pd.DataFrame({"word": [f"w{i}" for i in range(1, N_WORDS + 1)], "count": 1})
    table.to_parquet(artifacts.VOCABULARY)

    def run(labels=labels, **changes):
        np.save(folder / "labels.npy", labels)
        edit_params(tmp_path, **changes)
        monkeypatch.setattr(sys, "argv", ["embed"])
        embed.main()
        monkeypatch.setattr(sys, "argv", ["train", "tfidf"])
        train.main()
        return words, labels

    return run


def tables(words: np.ndarray) -> np.ndarray:
    """What scikit-learn makes of the texts, words and all, in the order of their ids."""
    texts = [" ".join(f"w{i}" for i in row if i) for row in words]
    names = [f"w{i}" for i in range(1, N_WORDS + 1)]
    return TfidfVectorizer(vocabulary=names, sublinear_tf=True).fit_transform(texts)


def test_weights_and_probabilities_are_those_of_scikit_learn(trained):
    words, labels = trained()
    table = tables(words)
    for repeat in range(2):
        drawn = generator_for(SEED, repeat, "texts")
        rows, _ = draw_rows(labels, SAMPLES, VALIDATION, drawn)
        expected = LogisticRegression().fit(table[rows], labels[rows]).predict_proba(table)[:, 1]
        found = predicted(artifacts.weights("tfidf", repeat), words)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected, atol=1e-4)
        assert expected.std() > 0.05


def test_the_history_has_one_epoch_with_the_measures_of_each_part(trained):
    words, labels = trained()
    history = pd.read_csv(artifacts.training("tfidf"))
    assert history[["repeat", "epoch"]].to_numpy().tolist() == [[0, 1], [1, 1]]
    for repeat, row in history.iterrows():
        drawn = draw_rows(labels, SAMPLES, VALIDATION, generator_for(SEED, repeat, "texts"))
        for own, prefix in zip(drawn, ("", "val_"), strict=True):
            found = predicted(artifacts.weights("tfidf", repeat), words[own])
            assert row[f"{prefix}loss"] == pytest.approx(log_loss(labels[own], found), abs=1e-5)
            assert row[f"{prefix}accuracy"] == pytest.approx(((found > 0.5) == labels[own]).mean())


def held_out_loss(table: np.ndarray, labels: np.ndarray, cut: list, penalty: float) -> float:
    """The log loss of scikit-learn's regression over all parts; each part has as many texts."""
    model = LogisticRegression(C=penalty, solver="newton-cholesky", tol=1e-7)
    found = cross_val_predict(model, table, labels, cv=cut, method="predict_proba")
    return log_loss(labels, found)


FITTED = {"texts": "tf-idf", "fitted": 3}


@pytest.mark.parametrize(
    ("start", "named", "shares"),
    [
        ({"texts": "tf-idf"}, [], [()]),
        (FITTED, [], [()]),
        (FITTED | {"weighting": "both"}, ["plain", "rare"], [(1, 1), (1, 0), (0, 1)]),
    ],
)
def test_penalty_and_shares_are_chosen_by_held_out_loss_on_its_own_samples(
    start, named, shares, trained
):
    words, labels = trained(train__tune=TUNE, embed__tfidf=start)
    table, tried = tables(words).toarray(), pd.read_csv(artifacts.tuning("tfidf"))
    of_texts = table @ np.load(artifacts.embedding("tfidf"))[1:, 1:]
    assert tried.columns.tolist() == ["repeat", "C", *named, "epoch", "loss", "accuracy", "chosen"]
    for repeat, own in tried.groupby("repeat"):
        rows, _ = draw_rows(labels, SAMPLES, VALIDATION, generator_for(SEED, repeat, "texts"))
        folds = draw_folds(labels[rows], 4, generator_for(SEED, repeat, "folds"))
        cut = [((folds != fold).nonzero()[0], (folds == fold).nonzero()[0]) for fold in range(4)]
        losses, features = [], {}
        for of in shares:
            scaled = of_texts * np.repeat(of, 3) if of else of_texts
            features[of] = np.hstack([table, scaled])
            here = own[(own[named].to_numpy() == of).all(axis=1)]
            assert here["C"].tolist() == linear.CANDIDATES[: len(here)]
            losses.append(
                [held_out_loss(features[of][rows], labels[rows], cut, C) for C in here["C"]]
            )
            n_worse = len(here) - 1 - int(np.argmin(losses[-1]))
            assert n_worse == 3 or (len(here) == len(linear.CANDIDATES) and n_worse < 3)
        np.testing.assert_allclose(own["loss"], np.concatenate(losses), rtol=1e-2)
        best = int(np.argmin(np.concatenate(losses)))
        assert own["chosen"].to_numpy().nonzero()[0].tolist() == [best]
        chosen = features[tuple(own[named].iloc[best])]
        model = LogisticRegression(C=own["C"].iloc[best], max_iter=1000)
        expected = model.fit(chosen[rows], labels[rows]).predict_proba(chosen)[:, 1]
        found = predicted(artifacts.weights("tfidf", repeat), words)
        np.testing.assert_allclose(found, expected, atol=2e-3)


def test_the_penalties_that_are_tried_are_the_nine_that_the_docs_name():
    expected = [0.1, 0.3162, 1, 3.1623, 10, 31.6228, 100, 316.2278, 1000]
    assert expected == linear.CANDIDATES


def test_a_draw_of_one_label_gives_its_smoothed_share(trained):
    words, labels = trained(train__samples=1, train__validation_samples=0)
    rows, _ = draw_rows(labels, 1, 0, generator_for(SEED, 0, "texts"))
    found = predicted(artifacts.weights("tfidf", 0), words)
    np.testing.assert_allclose(found, 0.75 if labels[rows[0]] else 0.25, rtol=1e-6)


def test_weights_in_tf_idf_are_those_of_scikit_learn():
    counts = tf_idf.count_tokens(np.random.default_rng(0).integers(0, 5, (50, 9), np.int32), 6)
    idf = tf_idf.fit([counts[:20], counts[20:]])
    exact = TfidfTransformer(sublinear_tf=True).fit(counts.astype(float))
    np.testing.assert_allclose(idf, exact.idf_, rtol=1e-6)
    found = tf_idf.weigh(counts, idf).toarray()
    np.testing.assert_allclose(found, exact.transform(counts.astype(float)).toarray(), rtol=1e-6)


def test_tokens_are_counted_text_by_text_however_they_are_cut(monkeypatch):
    words = np.random.default_rng(0).integers(0, 9, (50, 6), np.int32)
    expected = [np.bincount(row, minlength=9) * (np.arange(9) > 0) for row in words]
    assert (tf_idf.count_tokens(words, 9).toarray() == expected).all()
    monkeypatch.setattr(tf_idf, "TEXTS_AT_A_TIME", 7)
    assert (tf_idf.count_tokens(words, 9).toarray() == expected).all()


def test_a_text_without_words_is_scored_by_the_intercept(trained):
    trained()
    path = artifacts.weights("tfidf", 0)
    alone = predicted(path, np.zeros((2, MAXLEN), np.int32))
    assert (alone == alone[0]).all()
    assert 0.1 < alone[0] < 0.6


def test_many_labels_are_a_softmax_regression(trained):
    words, labels = trained(labels=np.arange(200, dtype=np.int8) % 3)
    table = tables(words)
    rows, _ = draw_rows(labels, SAMPLES, VALIDATION, generator_for(SEED, 1, "texts"))
    expected = LogisticRegression().fit(table[rows], labels[rows]).predict_proba(table)
    found = predicted(artifacts.weights("tfidf", 1), words)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-4)
    history = pd.read_csv(artifacts.training("tfidf")).iloc[1]
    assert history["loss"] == pytest.approx(log_loss(labels[rows], found[rows]), abs=1e-5)
    assert history["accuracy"] == (found[rows].argmax(axis=1) == labels[rows]).mean()


@pytest.mark.parametrize("n_drawn", [1, 2, 3])
def test_a_label_that_a_draw_lacks_counts_as_half_a_text(trained, n_drawn, capsys):
    words, labels = trained(
        labels=np.arange(200, dtype=np.int8) % 4, train__samples=n_drawn,
        train__validation_samples=0,
    )  # fmt: skip
    assert f"each draw lacks {4 - n_drawn} of the 4 labels\n" in capsys.readouterr().out
    rows, _ = draw_rows(labels, n_drawn, 0, generator_for(SEED, 0, "texts"))
    empty = predicted(artifacts.weights("tfidf", 0), np.zeros((1, MAXLEN), np.int32))[0]
    own = labels[rows]
    lacking = [label for label in range(4) if label not in own]
    half = 0.5 / (n_drawn + 0.5 * (len(lacking) + (n_drawn == 1)))
    np.testing.assert_allclose(empty[lacking], half, rtol=1e-5)
    assert empty.sum() == pytest.approx(1)
    found = predicted(artifacts.weights("tfidf", 0), words[rows])
    assert (found.argmax(axis=1) == own).all()
    if n_drawn == 2:
        expected = LogisticRegression().fit(tables(words)[rows], own).predict_proba(tables(words))
        all_of_them = predicted(artifacts.weights("tfidf", 0), words)
        shares = all_of_them[:, np.sort(own)]
        shares /= shares.sum(axis=1, keepdims=True)
        np.testing.assert_allclose(shares, expected, atol=1e-4)


def test_two_labels_of_four_that_a_draw_has_are_told_apart_as_if_there_were_two(trained):
    labels = np.arange(200, dtype=np.int8) % 4
    words, _ = trained(labels=labels, train__samples=20, train__validation_samples=0)
    drawn, _ = draw_rows(labels, 20, 0, generator_for(SEED, 0, "texts"))
    rows = drawn[labels[drawn] % 2 == 0][:8]
    assert {*labels[rows]} == {0, 2}
    regression = train.read(params.load(), "tfidf")
    coefficients, intercept = regression.fit(regression.sample(rows, ()), regression.solvers())
    expected = LogisticRegression().fit(tables(words)[rows], labels[rows])
    assert intercept[2] - intercept[0] == pytest.approx(expected.intercept_[0], abs=1e-4)
    own = coefficients[1 : N_WORDS + 1, 2] - coefficients[1 : N_WORDS + 1, 0]
    np.testing.assert_allclose(own, expected.coef_[0], atol=1e-4)


def test_only_texts_that_are_drawn_are_weighed(trained):
    words, labels = trained(train__samples=20, train__validation_samples=10)
    regression = train.read(params.load(), "tfidf")
    drawn = [draw_rows(labels, 20, 10, generator_for(SEED, repeat, "texts")) for repeat in (0, 1)]
    rows = np.unique(np.concatenate([*drawn[0], *drawn[1]]))
    assert regression.table.shape[0] == len(rows) < len(labels)
    found = regression.features(rows[::-1]).toarray()[:, 1 : N_WORDS + 1]
    np.testing.assert_allclose(found, tables(words).toarray()[rows[::-1]], rtol=1e-6)


def test_an_interrupted_training_goes_on_from_what_is_finished(trained, monkeypatch, capsys):
    def outputs() -> list[bytes]:
        files = [artifacts.weights("tfidf", 0), artifacts.weights("tfidf", 1)]
        files += [artifacts.training("tfidf"), artifacts.tuning("tfidf")]
        return [path.read_bytes() for path in files]

    trained()
    whole, kept = outputs(), artifacts.unfinished("tfidf")
    gather = train.finished.gather
    monkeypatch.setattr(train.finished, "gather", raising_interrupt)
    with pytest.raises(KeyboardInterrupt):
        trained()
    first = kept / artifacts.weights("tfidf", 0).name
    damaged = bytearray(first.read_bytes())
    damaged[-1] ^= 1
    first.write_bytes(damaged)
    monkeypatch.setattr(train.finished, "gather", gather)
    capsys.readouterr()
    trained()
    assert "1 of 2 repeats were finished before: going on" in capsys.readouterr().out
    assert outputs() == whole
    assert not kept.exists()
    monkeypatch.setattr(train.finished, "gather", raising_interrupt)
    with pytest.raises(KeyboardInterrupt):
        trained()
    monkeypatch.setattr(train.finished, "gather", gather)
    capsys.readouterr()
    trained(seed=SEED + 1)
    assert "finished before" not in capsys.readouterr().out
    assert outputs() != whole


def raising_interrupt(*_) -> None:
    raise KeyboardInterrupt


def ratios(table: np.ndarray, is_label: np.ndarray) -> np.ndarray:
    """Log-count ratios by their definition, of tables as scikit-learn weighs them."""
    has = table.toarray() > 0
    p, q = 1 + has[is_label].sum(axis=0), 1 + has[~is_label].sum(axis=0)
    return np.log((p / p.sum()) / (q / q.sum()))


NAIVE_BAYES = {"embed__tfidf": {"texts": "naive-bayes"}}


def test_naive_bayes_weighs_words_by_the_labels_of_the_draw_alone(trained):
    words, labels = trained(**NAIVE_BAYES)
    table = tables(words)
    for repeat in range(2):
        rows, _ = draw_rows(labels, SAMPLES, VALIDATION, generator_for(SEED, repeat, "texts"))
        weighted = table.toarray() * ratios(table[rows], labels[rows] == 1)
        model = LogisticRegression(C=10, tol=1e-6).fit(weighted[rows], labels[rows])
        found = predicted(artifacts.weights("tfidf", repeat), words)
        np.testing.assert_allclose(found, model.predict_proba(weighted)[:, 1], atol=5e-3)


def test_naive_bayes_of_many_labels_is_one_against_the_rest(trained):
    words, labels = trained(labels=np.arange(200, dtype=np.int8) % 3, **NAIVE_BAYES)
    table = tables(words)
    rows, _ = draw_rows(labels, SAMPLES, VALIDATION, generator_for(SEED, 1, "texts"))
    logits = []
    for label in range(3):
        own = labels[rows] == label
        weighted = table.toarray() * ratios(table[rows], own)
        logits.append(
            LogisticRegression(C=10, tol=1e-6).fit(weighted[rows], own).decision_function(weighted)
        )
    powers = np.exp(np.stack(logits, axis=1))
    found = predicted(artifacts.weights("tfidf", 1), words)
    np.testing.assert_allclose(found, powers / powers.sum(axis=1, keepdims=True), atol=5e-3)


@pytest.mark.parametrize(("n_drawn", "folds"), [(1, None), (2, None), (3, None), (2, 2), (3, 2)])
def test_naive_bayes_takes_draws_that_lack_labels(trained, n_drawn, folds):
    tune = folds and {"learning_rates": [0.1], "folds": folds}
    words, labels = trained(
        labels=np.arange(200, dtype=np.int8) % 4, train__samples=n_drawn, train__tune=tune,
        train__validation_samples=0, **NAIVE_BAYES,
    )  # fmt: skip
    rows, _ = draw_rows(labels, n_drawn, 0, generator_for(SEED, 0, "texts"))
    found = predicted(artifacts.weights("tfidf", 0), words)
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-5)
    assert (found[rows].argmax(axis=1) == labels[rows]).all()


def test_a_candidate_of_naive_bayes_is_scored_by_the_word_weights_of_its_own_part(trained):
    tune = {"learning_rates": [0.1], "folds": 3}
    words, labels = trained(train__samples=12, train__tune=tune, **NAIVE_BAYES)
    rows, _ = draw_rows(labels, 12, VALIDATION, generator_for(SEED, 0, "texts"))
    folds = draw_folds(labels[rows], 3, generator_for(SEED, 0, "folds"))
    table, tried = tables(words), pd.read_csv(artifacts.tuning("tfidf"))
    for _, candidate in tried[tried["repeat"] == 0].iterrows():
        losses = []
        for fold in range(3):
            fitted, scored = rows[folds != fold], rows[folds == fold]
            assert not table[fitted].sum(axis=0).all()  # some words are in no text
            weighted = table.toarray() * ratios(table[fitted], labels[fitted] == 1)
            model = LogisticRegression(C=candidate["C"], tol=1e-7, max_iter=1000)
            model.fit(weighted[fitted], labels[fitted])
            found = model.predict_proba(weighted[scored])
            losses.append(log_loss(labels[scored], found, labels=[0, 1]))
        assert candidate["loss"] == pytest.approx(np.mean(losses), rel=1e-2)


@pytest.mark.parametrize("texts", ["tf-idf", "naive-bayes"])
def test_fitted_columns_stand_beside_the_words(trained, texts):
    start = {"texts": texts, "fitted": 3, "weighting": "rare"}
    words, labels = trained(embed__tfidf=start)
    table = tables(words).toarray()
    matrix = np.load(artifacts.embedding("tfidf"))
    of_texts = table @ matrix[1:, 1:]
    assert of_texts.shape[1] == 3
    distances = ((of_texts - of_texts.mean(axis=0)) ** 2).sum(axis=1)
    assert distances.mean() == pytest.approx(1, rel=1e-3)
    present = tf_idf.count_tokens(words, N_WORDS + 1).toarray()[:, 1:] > 0
    idf = 1 + np.log(201 / (1 + present.sum(axis=0)))
    rare = present * idf**2
    rare /= np.linalg.norm(rare, axis=1, keepdims=True)
    _, spread, components = np.linalg.svd(rare, full_matrices=False)
    exact = components[:3].T * spread[:3] * idf[:, None]
    cosines = (matrix[1:, 1:] * exact).sum(axis=0)
    cosines /= np.linalg.norm(matrix[1:, 1:], axis=0) * np.linalg.norm(exact, axis=0)
    assert np.abs(cosines)[0] > 0.99
    rows, _ = draw_rows(labels, SAMPLES, VALIDATION, generator_for(SEED, 1, "texts"))
    weight = ratios(tables(words)[rows], labels[rows] == 1) if texts == "naive-bayes" else 1
    features = np.hstack([table * weight, of_texts])
    model = LogisticRegression(C=10 if texts == "naive-bayes" else 1, tol=1e-6)
    model.fit(features[rows], labels[rows])
    found = predicted(artifacts.weights("tfidf", 1), words)
    np.testing.assert_allclose(found, model.predict_proba(features)[:, 1], atol=5e-3)
