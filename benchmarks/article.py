"""The article's way: its two listings as one would type them, on the same data as the pipeline.

Section 6.1 of Chollet's *Deep Learning with Python*, for today's Keras. The functions are what
`benchmarks.compare` times; run as a script, `python -m benchmarks.article CSV GLOVE SEED`, it is
the second listing and its learned twin, from the files to the test accuracy.
"""

import argparse
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import tensorflow as tf

MAX_WORDS = 10_000
MAXLEN = 100
SAMPLES, VALIDATION_SAMPLES = 200, 10_000
EPOCHS, BATCH_SIZE = 10, 32


def tokenize(fit_texts, texts, num_words=MAX_WORDS, maxlen=MAXLEN):
    """Fit Keras' Tokenizer on fit_texts and pad texts: the tokenizer, (n_texts, maxlen) int32."""
    tokenizer = tf.keras.preprocessing.text.Tokenizer(num_words=num_words)
    tokenizer.fit_on_texts(fit_texts)
    sequences = tokenizer.texts_to_sequences(texts)
    return tokenizer, keras.utils.pad_sequences(sequences, maxlen=maxlen)


def read_vectors(path):
    """Parse a GloVe text file line by line: a dictionary from word to (dim,) float32."""
    vectors = {}
    with open(path, encoding="utf-8") as file:  # noqa: PTH123
        for line in file:
            values = line.rstrip("\n").split(" ")
            vectors[values[0]] = np.asarray(values[1:], dtype="float32")
    return vectors


def fill_matrix(word_index, vectors, num_words=MAX_WORDS):
    """Copy the vectors of the words kept, row by row: (num_words, dim) float64."""
    dim = len(next(iter(vectors.values())))
    matrix = np.zeros((num_words, dim))
    for word, i in word_index.items():
        if i < num_words:
            vector = vectors.get(word)
            if vector is not None:
                matrix[i] = vector
    return matrix


def build(dim, maxlen=MAXLEN, hidden_units=32, head="flatten", num_words=MAX_WORDS, n_labels=2):
    """The article's model; or with the masked average or a convolution in place of Flatten."""
    heads = {
        "flatten": [keras.layers.Flatten()],
        "mean": [keras.layers.GlobalAveragePooling1D()],
        "conv": [
            keras.layers.Conv1D(64, 5, activation="relu"),
            keras.layers.GlobalMaxPooling1D(),
        ],
    }
    layers = [
        keras.Input((maxlen,)),
        keras.layers.Embedding(num_words, dim, mask_zero=head == "mean"),
        *heads[head],
    ]
    if hidden_units:
        layers.append(keras.layers.Dense(hidden_units, activation="relu"))
    if n_labels == 2:
        layers.append(keras.layers.Dense(1, activation="sigmoid"))
    else:
        layers.append(keras.layers.Dense(n_labels, activation="softmax"))
    return keras.Sequential(layers)


def compile_model(model):
    kind = "binary" if model.output_shape[1] == 1 else "sparse_categorical"
    model.compile(optimizer="rmsprop", loss=f"{kind}_crossentropy", metrics=["acc"])
    return model


def tune(folder, repeats, learning_rates, n_folds, epochs, patience):
    """Choose rate and epoch of `learned` by held-out folds of SAMPLES reviews, and train."""
    tokens, labels = np.load(f"{folder}/tokens_100.npy"), np.load(f"{folder}/labels.npy")
    for seed in range(repeats):
        order = np.random.default_rng(seed).permutation(20_000)
        rows, val_rows = np.split(order[: SAMPLES + VALIDATION_SAMPLES], [SAMPLES])
        folds, tried = np.arange(SAMPLES) % n_folds, []

        def model_of(rate):
            keras.utils.set_random_seed(seed)  # noqa: B023
            model = compile_model(build(50))
            model.optimizer.learning_rate = rate
            return model

        for rate in learning_rates:
            losses = np.full((n_folds, epochs), np.inf)
            for fold in range(n_folds):
                fitted, held_out = rows[folds != fold], rows[folds == fold]
                stop = keras.callbacks.EarlyStopping(patience=patience)
                history = model_of(rate).fit(
                    tokens[fitted], labels[fitted], epochs=epochs, batch_size=BATCH_SIZE,
                    validation_data=(tokens[held_out], labels[held_out]), callbacks=[stop],
                    verbose=0,
                ).history["val_loss"]  # fmt: skip
                losses[fold, : len(history)] = history
            loss = losses.mean(axis=0)
            tried.append((loss.min(), rate, int(loss.argmin()) + 1))
        _, rate, epoch = min(tried)
        model_of(rate).fit(
            tokens[rows], labels[rows], epochs=epoch, batch_size=BATCH_SIZE,
            validation_data=(tokens[val_rows], labels[val_rows]), verbose=0,
        )  # fmt: skip


def save(folder):
    """Save a model of the second listing's shape and its tokenizer; how well it does is no matter.

    Scoring takes as long with any weights.
    """
    reviews = pd.read_parquet(f"{folder}/reviews.parquet")
    tokenizer, _ = tokenize(reviews["text"], reviews["text"][:1])
    build(50).save(f"{folder}/model.keras")
    Path(folder, "tokenizer.json").write_text(tokenizer.to_json(), "utf-8")


def label(parquet, folder):
    """Label the texts of a file with what `save` has saved."""
    texts = pd.read_parquet(parquet)["text"]
    file = Path(folder, "tokenizer.json").read_text("utf-8")
    tokenizer = tf.keras.preprocessing.text.tokenizer_from_json(file)
    data = keras.utils.pad_sequences(tokenizer.texts_to_sequences(texts), maxlen=MAXLEN)
    probability = keras.models.load_model(f"{folder}/model.keras").predict(data, verbose=0)[:, 0]
    labels = pd.DataFrame({"text": texts, "label": probability > 0.5, "probability": probability})
    labels.to_csv(f"{folder}/labelled_article.csv", index=False)


def main(csv, glove, seed):
    """One draw: learned and pretrained, each trained, saved, loaded and tested."""
    reviews = pd.read_csv(csv)
    train, test = (reviews[reviews["split"] == split] for split in ("train", "test"))
    tokenizer, data = tokenize(train["text"], train["text"])
    labels = train["label"].to_numpy()
    indices = np.arange(len(data))
    np.random.default_rng(seed).shuffle(indices)
    data, labels = data[indices], labels[indices]
    x_train, y_train = data[:SAMPLES], labels[:SAMPLES]
    end = SAMPLES + VALIDATION_SAMPLES
    x_val, y_val = data[SAMPLES:end], labels[SAMPLES:end]
    matrix = fill_matrix(tokenizer.word_index, read_vectors(glove))
    x_test = keras.utils.pad_sequences(tokenizer.texts_to_sequences(test["text"]), maxlen=MAXLEN)
    for name in ("learned", "pretrained"):
        keras.utils.set_random_seed(seed)
        model = build(matrix.shape[1])
        if name == "pretrained":
            model.layers[0].set_weights([matrix])
            model.layers[0].trainable = False
        compile_model(model).fit(
            x_train, y_train, epochs=EPOCHS, batch_size=BATCH_SIZE,
            validation_data=(x_val, y_val), verbose=2,
        )  # fmt: skip
        model.save_weights(f"{name}.weights.h5")
        model.load_weights(f"{name}.weights.h5")
        accuracy = model.evaluate(x_test, test["label"].to_numpy(), verbose=0)[1]
        print(f"{name}: test accuracy {accuracy:.4f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.article", description=__doc__)
    parser.add_argument("csv", help="reviews: columns split, label, text")
    parser.add_argument("glove", help="vectors in GloVe's text format")
    parser.add_argument("seed", type=int)
    main(**vars(parser.parse_args()))
