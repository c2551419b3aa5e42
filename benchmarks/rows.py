"""What `benchmarks.compare` times: of each piece of work, our way and those that one would take.

A way is a function of the folder that `prepare` filled; it returns seconds. Its name is that of the
package it takes: `article` is Keras as the article's listings use it, `before` this project as it
was before convolutions, predictions and models had their present code.
"""

import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from threading import Barrier
from typing import NamedTuple

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import yaml

ROOT = Path(__file__).parents[1]
OFFICIAL = os.environ.get("ACLIMDB")  # the path of aclImdb, to measure on all of it
BEFORE = "bf7bc9d"
REPEATS = 5  # of the default comparison
NUM_WORDS = 10_000
LABELLED = 25_000  # reviews that epochs draw from: all of the package, or aclImdb's train split
# What the mean head takes to reach fastText's accuracy, chosen on 5,000 reviews held out of the
# train split.
MEAN_HEAD = {"epochs": 1, "batch_size": 512, "optimizer": "adam", "learning_rate": 0.04}
# What both ways choose from in `tuned_point`; the patience is that of stages.train.tuning.
TUNE = {"learning_rates": [0.001, 0.003, 0.01], "folds": 3}
TUNED_EPOCHS, TUNED_REPEATS, PATIENCE = 20, 2, 3
CONV_FILTERS, CONV_WIDTH = 64, 5  # as stages.train.network has them

Way = Callable[[Path], float]


class Epoch(NamedTuple):
    """The sizes of a training."""

    n_train: int
    n_val: int
    maxlen: int
    dim: int
    trainable: bool
    head: str
    hidden_units: int
    batch_size: int
    n_labels: int = 2


EPOCHS = {
    "epoch_listing1": Epoch(20_000, 5_000, 20, 8, True, "flatten", 0, 32),
    "epoch_listing2": Epoch(200, 10_000, 100, 100, False, "flatten", 32, 32),
    "epoch_trainable_20k": Epoch(20_000, 5_000, 100, 100, True, "flatten", 32, 32),
    "epoch_mean_25k": Epoch(25_000, 0, 400, 100, True, "mean", 0, 64),
    "epoch_20_classes": Epoch(25_000, 0, 400, 100, True, "mean", 0, 64, 20),
    "epoch_conv": Epoch(4_000, 1_000, 100, 100, True, "conv", 32, 32),
    "epoch_conv_20k": Epoch(20_000, 1_000, 400, 100, True, "conv", 32, 32),
}


def prepare(folder: Path) -> None:
    """Write what the ways read: reviews, vectors, tokens, labels, and files for fastText."""
    from stages.download import texts, vectors
    from stages.download.land_vectors import write_vectors
    from stages.tokenize.words import count_words, pad_texts

    table = texts.aclimdb(Path(OFFICIAL)) if OFFICIAL else texts.imdb_package()
    pq.write_table(table, folder / "reviews.parquet")
    texts.imdb_package().to_pandas().to_csv(folder / "reviews.csv", index=False)

    write_vectors(vectors.glove_package(), folder / "words.txt", folder / "matrix.npy")
    words = (folder / "words.txt").read_text("utf-8").split("\n")[:-1]
    matrix = np.load(folder / "matrix.npy", mmap_mode="r")
    with (folder / "glove.txt").open("w", encoding="utf-8", newline="\n") as file:
        for word, row in zip(words, matrix, strict=True):
            file.write(f"{word} {' '.join(map(str, row))}\n")

    is_train = pc.equal(table["split"], "train")
    vocabulary = count_words(table["text"].filter(is_train).chunks)["word"]
    for maxlen in sorted({row.maxlen for row in EPOCHS.values()}):
        blocks = pad_texts(table["text"].chunks, vocabulary, NUM_WORDS, maxlen)
        tokens = np.concatenate([block.ids for block in blocks])
        np.save(folder / f"tokens_{maxlen}.npy", tokens)
    labels = table["label"].to_numpy()
    np.save(folder / "labels.npy", labels)
    n_train = pc.sum(is_train).as_py()
    np.save(folder / "n_train.npy", n_train)

    words = np.array(["", *vocabulary.slice(0, NUM_WORDS - 1).to_pylist()], dtype=object)
    for name, rows in (("train", slice(n_train)), ("test", slice(n_train, None))):
        with (folder / f"fasttext_{name}.txt").open("w", encoding="utf-8") as file:
            lines = list(zip(tokens[rows], labels[rows], strict=True))
            random.Random(0).shuffle(lines)  # fastText reads in the order of the file
            for row, label in lines:
                file.write(f"__label__{label} {' '.join(words[row[row > 0]])}\n")


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def median_of_three(work: Callable[[], object]) -> float:
    """Time work after a first time, which compiles."""
    return statistics.median([seconds(work) for _ in range(4)][1:])


def call(*command: object, cwd: Path) -> None:
    """Run a command, silent unless it fails, with this interpreter's programs first on PATH."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd, env=os.environ | {"PATH": path}, capture_output=True, text=True,
    )  # fmt: skip
    if done.returncode:
        sys.exit(f"{command}\n{done.stdout}\n{done.stderr}")


# Texts and vectors


def reviews(folder: Path) -> tuple[list[str], list[str]]:
    """Read the texts of the train split, and all texts."""
    table = pq.read_table(folder / "reviews.parquet")
    train = table.filter(pc.field("split") == "train")["text"]
    return train.to_pylist(), table["text"].to_pylist()


def tokenize_ours(folder: Path) -> float:
    """Fit on the train split and pad both splits, from and to memory."""
    from stages.tokenize.words import count_words, pad_texts

    table = pq.read_table(folder / "reviews.parquet")
    train = table.filter(pc.field("split") == "train")["text"]

    def work():
        words = count_words(train.chunks)["word"]
        blocks = pad_texts(table["text"].chunks, words, NUM_WORDS, 100)
        return np.concatenate([block.ids for block in blocks])

    return seconds(work)


def tokenize_article(folder: Path) -> float:
    from benchmarks import article

    train, texts = reviews(folder)
    return seconds(lambda: article.tokenize(train, texts))


def tokenize_sklearn(folder: Path) -> float:
    """Count words, without their order: it makes no sequences."""
    from sklearn.feature_extraction.text import CountVectorizer

    train, texts = reviews(folder)
    return seconds(lambda: CountVectorizer(max_features=NUM_WORDS).fit(train).transform(texts))


def tokenize_tokenizers(folder: Path) -> float:
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

    train, texts = reviews(folder)

    def work():
        tokenizer = Tokenizer(models.WordLevel(unk_token="<unk>"))
        tokenizer.normalizer = normalizers.Lowercase()
        tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
        trainer = trainers.WordLevelTrainer(
            vocab_size=NUM_WORDS, special_tokens=["<pad>", "<unk>"], show_progress=False
        )
        tokenizer.train_from_iterator(train, trainer)
        tokenizer.enable_truncation(100, direction="left")
        tokenizer.enable_padding(direction="left", length=100)
        encoded = tokenizer.encode_batch_fast(texts)
        return np.array([text.ids for text in encoded], np.int32)

    return seconds(work)


def words_ours(folder: Path, method: str) -> float:
    """Fit to the package's reviews and encode them."""
    from stages.shared.schema import Tokenize
    from stages.tokenize.encoding import encode, fit

    texts = pq.read_table(folder / "reviews.parquet")["text"].chunks
    sizes = {"num_words": NUM_WORDS, "num_bigrams": 0, "maxlen": 100}
    settings = Tokenize(method=method, lowercase=True, **sizes)
    return seconds(lambda: [*encode(texts, fit(lambda: texts, settings), settings)])


def words_spacy(folder: Path) -> float:
    """Only cut into words: what they count and stand for is not included."""
    import spacy

    texts = reviews(folder)[1]
    tokenizer = spacy.blank("en").tokenizer
    return seconds(lambda: [[word.text for word in text] for text in tokenizer.pipe(texts)])


def vectors_text_ours(folder: Path) -> float:
    """Read a GloVe text file into words.txt and matrix.npy on disk."""
    from stages.download import vectors
    from stages.download.land_vectors import write_vectors

    out = folder / "out"
    out.mkdir(exist_ok=True)
    files = out / "words.txt", out / "matrix.npy"
    return seconds(lambda: write_vectors(vectors.vector_file(folder / "glove.txt"), *files))


def vectors_text_article(folder: Path) -> float:
    from benchmarks import article

    return seconds(lambda: article.read_vectors(folder / "glove.txt"))


def vectors_text_gensim(folder: Path) -> float:
    from gensim.models import KeyedVectors

    read = partial(KeyedVectors.load_word2vec_format, folder / "glove.txt", no_header=True)
    return seconds(read)


# Training and scoring


def drawn(folder: Path, row: Epoch) -> tuple[np.ndarray, ...]:
    """Draw an epoch's tokens and labels, and those to validate on; 20 labels are drawn too."""
    tokens, labels = np.load(folder / f"tokens_{row.maxlen}.npy"), np.load(folder / "labels.npy")
    if row.n_labels > 2:
        labels = np.random.default_rng(2).integers(row.n_labels, size=len(tokens))
    order = np.random.default_rng(0).permutation(LABELLED)
    rows, val_rows = order[: row.n_train], order[len(order) - (row.n_val or 1000) :]
    return tokens[rows], labels[rows], tokens[val_rows], labels[val_rows]


def start_of(row: Epoch) -> np.ndarray:
    generator = np.random.default_rng(1)
    return generator.uniform(-0.05, 0.05, (NUM_WORDS, row.dim)).astype(np.float32)


def epoch_ours(folder: Path, row: Epoch) -> float:
    """Train two repeats at a time, as `stages.train` does: the time of an epoch of both, halved."""
    from stages.train.loop import Loop, initial_weights
    from stages.train.machine import THREADS
    from stages.train.network import build_model

    data = drawn(folder, row)
    network = build_model(
        row.head, NUM_WORDS, row.dim, row.maxlen, row.hidden_units, row.trainable, row.n_labels
    )
    fit = Loop(network, "rmsprop", 0.001, row.batch_size).fit
    initial, times = initial_weights(network, 0, start_of(row)), []
    in_step = Barrier(THREADS, lambda: times.append(time.perf_counter()))

    def repeat(number):
        orders = (np.random.default_rng((number, e)).permutation(row.n_train) for e in range(4))
        fit(initial, *data, orders, on_epoch=lambda _: in_step.wait())

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(repeat, range(THREADS)))
    return statistics.median(np.diff(times)) / THREADS


def epoch_article(folder: Path, row: Epoch) -> float:
    from benchmarks import article

    data = drawn(folder, row)
    network = article.build(row.dim, row.maxlen, row.hidden_units, row.head, n_labels=row.n_labels)
    network.layers[0].set_weights([start_of(row)])
    network.layers[0].trainable = row.trainable
    article.compile_model(network)
    given = {"batch_size": row.batch_size, "validation_data": data[2:], "verbose": 0}
    return median_of_three(lambda: network.fit(*data[:2], **given))


def epoch_torch(folder: Path, row: Epoch) -> float:
    """The mean head as PyTorch's EmbeddingBag, which skips padding; also validated."""
    import torch

    x, y, x_val, y_val = (torch.from_numpy(part) for part in drawn(folder, row))
    n_units = 1 if row.n_labels == 2 else row.n_labels
    model = torch.nn.Sequential(
        torch.nn.EmbeddingBag(NUM_WORDS, row.dim, mode="mean", padding_idx=0),
        torch.nn.Linear(row.dim, n_units),
    )
    optimizer = torch.optim.RMSprop(model.parameters(), lr=0.001, alpha=0.9)

    def loss_of(tokens, labels):
        logits = model(tokens)
        if n_units == 1:
            entropy = torch.nn.functional.binary_cross_entropy_with_logits
            return entropy(logits[:, 0], labels.float())
        return torch.nn.functional.cross_entropy(logits, labels.long())

    def epoch():
        for rows in torch.randperm(len(x)).split(row.batch_size):
            optimizer.zero_grad()
            loss_of(x[rows], y[rows]).backward()
            optimizer.step()
        with torch.no_grad():
            loss_of(x_val, y_val)

    return median_of_three(epoch)


def score_ours(folder: Path, row: Epoch) -> float:
    """Score the reviews, from their sequences to their probabilities."""
    from stages.predict import models
    from stages.train.network import build_model

    tokens = np.load(folder / f"tokens_{row.maxlen}.npy")[:LABELLED]
    sizes = NUM_WORDS, row.dim, row.maxlen, row.hidden_units, row.trainable
    build_model(row.head, *sizes).save_weights(folder / "scored.weights.h5")
    score = models.scorer([folder / "scored.weights.h5"], row.head)
    return median_of_three(lambda: score(tokens))


def score_article(folder: Path, row: Epoch) -> float:
    from benchmarks import article

    tokens = np.load(folder / f"tokens_{row.maxlen}.npy")[:LABELLED]
    network = article.build(row.dim, row.maxlen, row.hidden_units, row.head)
    return median_of_three(lambda: network.predict(tokens, verbose=0))


def fasttext_mean_25k_ours(folder: Path) -> float:
    """Train on the whole train split, to the accuracy that fastText's five epochs reach."""
    from stages.predict.scoring import Scorer
    from stages.train.loop import Loop, initial_weights
    from stages.train.network import build_model

    tokens, labels = np.load(folder / "tokens_400.npy"), np.load(folder / "labels.npy")
    n_train = int(np.load(folder / "n_train.npy"))
    network = build_model("mean", NUM_WORDS, 100, tokens.shape[1], 0, True)
    initial = initial_weights(network, 0, start_of(EPOCHS["epoch_mean_25k"]))
    orders = (np.random.default_rng(e).permutation(n_train) for e in range(MEAN_HEAD["epochs"]))
    data = (tokens[:n_train], labels[:n_train], tokens[:64], labels[:64])
    weights = None

    def work():
        nonlocal weights
        chosen = (MEAN_HEAD[key] for key in ("optimizer", "learning_rate", "batch_size"))
        weights, _ = Loop(network, *chosen).fit(initial, *data, orders)

    elapsed = seconds(work)
    probabilities = Scorer(network).predict(weights, tokens[n_train:])
    say_accuracy("ours", np.mean((probabilities > 0.5) == labels[n_train:]))
    return elapsed


def fasttext_mean_25k_fasttext(folder: Path) -> float:
    import fasttext

    train, settings = str(folder / "fasttext_train.txt"), {"dim": 100, "epoch": 5, "verbose": 0}
    while True:
        start = time.perf_counter()
        try:
            classifier = fasttext.train_supervised(train, thread=os.cpu_count(), **settings)
            break
        except RuntimeError as error:  # its threads race, and now and then they diverge
            print(f"fasttext_mean_25k: {error} Trained again.", file=sys.stderr)
    elapsed = time.perf_counter() - start
    say_accuracy("fastText", classifier.test(str(folder / "fasttext_test.txt"))[1])
    return elapsed


def say_accuracy(way: str, accuracy: float) -> None:
    print(f"fasttext_mean_25k, {way}: test accuracy {accuracy:.4f}", file=sys.stderr)


def tfidf_ours(folder: Path) -> float:
    """From raw texts to the test split's probabilities: fitted to the whole train split."""
    from sklearn.linear_model import LogisticRegression

    from stages.shared import tf_idf
    from stages.shared.schema import Tokenize
    from stages.tokenize.encoding import encode, fit
    from stages.train.regression import score, weighed

    table = pq.read_table(folder / "reviews.parquet")
    is_train = pc.equal(table["split"], "train")
    train, test = (table["text"].filter(rows).chunks for rows in (is_train, pc.invert(is_train)))
    labels = table["label"].filter(is_train).to_numpy()
    settings = Tokenize(
        method="keras", lowercase=True, num_words=NUM_WORDS, num_bigrams=0, maxlen=400
    )

    def work():
        vocabulary = fit(lambda: train, settings)
        of_train, of_test = (
            np.concatenate([block.ids for block in encode(part, vocabulary, settings)])
            for part in (train, test)
        )
        idf = tf_idf.fit([tf_idf.count_tokens(of_train, NUM_WORDS)])
        fitted = LogisticRegression(max_iter=1000).fit(weighed(of_train, idf), labels)
        return score([fitted.coef_[0], fitted.intercept_], weighed(of_test, idf))

    return seconds(work)


def tfidf_sklearn(folder: Path) -> float:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    table = pq.read_table(folder / "reviews.parquet").to_pandas()
    train, test = (table[table["split"] == split] for split in ("train", "test"))
    model = make_pipeline(
        TfidfVectorizer(max_features=NUM_WORDS, sublinear_tf=True),
        LogisticRegression(max_iter=1000),
    )
    fit = partial(model.fit, train["text"], train["label"])
    return seconds(lambda: fit().predict_proba(test["text"]))


# Whole commands


def clone(folder: Path, name: str, commit: str = "HEAD") -> Path:
    """Clone the project, with an empty cache."""
    target = folder / name
    shutil.rmtree(target, ignore_errors=True)
    subprocess.run(["git", "clone", "--quiet", ROOT, target], check=True)
    subprocess.run(["git", "checkout", "--quiet", commit], cwd=target, check=True)
    return target


def reproduced(folder: Path, name: str = "reproduced", commit: str = "HEAD") -> Path:
    """Clone the project and run it, unless that was done."""
    project = folder / name
    if not (project / "done").exists():
        call("dvc", "repro", "--quiet", cwd=clone(folder, name, commit))
        (project / "done").touch()
    return project


def change_params(project: Path, change: Callable[[dict], None]) -> None:
    params = yaml.safe_load((project / "params.yaml").read_text())
    change(params)
    (project / "params.yaml").write_text(yaml.safe_dump(params))


def end_to_end_ours(folder: Path) -> float:
    """Learned and pretrained, five repeats, from nothing: `dvc repro`."""

    def keep_two(params: dict) -> None:
        params["variants"] = {key: params["variants"][key] for key in ("learned", "pretrained")}

    change_params(project := clone(folder, "project"), keep_two)
    return seconds(lambda: call("dvc", "repro", "--quiet", cwd=project))


def end_to_end_article(folder: Path) -> float:
    """The script, in a loop."""
    script = ROOT / "benchmarks/article.py"

    def work():
        for seed in range(REPEATS):
            call(sys.executable, script, "reviews.csv", "glove.txt", seed, cwd=folder)

    return seconds(work)


def noop_ours(folder: Path) -> float:
    """`dvc repro` with nothing to do, median of five."""
    return nothing_to_do(reproduced(folder))


def noop_dvc(folder: Path) -> float:
    """The same for as many stages that each copy a line."""
    project = folder / "trivial"
    if not project.exists():
        n_stages = len(yaml.safe_load((ROOT / "dvc.lock").read_text())["stages"])
        project.mkdir()
        stages = {
            f"stage_{i}": {
                "cmd": f"echo {i} > {i}.txt",
                "deps": [f"{i - 1}.txt"] if i else [],
                "outs": [f"{i}.txt"],
            }
            for i in range(n_stages)
        }
        (project / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages}))
        call("git", "init", "--quiet", cwd=project)
        call("dvc", "init", "--quiet", cwd=project)
        call("dvc", "repro", "--quiet", cwd=project)
    return nothing_to_do(project)


def nothing_to_do(project: Path) -> float:
    runs = (seconds(lambda: call("dvc", "repro", "--quiet", cwd=project)) for _ in range(5))
    return statistics.median(runs)


def point(folder: Path, name: str = "reproduced", commit: str = "HEAD") -> float:
    """Run one more point of a sweep where the default was run: another number of samples."""
    project, sizes = reproduced(folder, name, commit), folder / f"{name}.json"
    done = json.loads(sizes.read_text()) if sizes.exists() else []
    samples = 400 + 50 * len(done)
    sizes.write_text(json.dumps([*done, samples]))
    command = "dvc", "exp", "run", "--quiet", "--set-param", f"train.samples={samples}"
    return seconds(lambda: call(*command, cwd=project))


def tuned_point_ours(folder: Path) -> float:
    """Train `learned`, each repeat with the rate and the epoch that its folds choose."""

    def tune(params: dict) -> None:
        params["train"] |= {"tune": TUNE, "epochs": TUNED_EPOCHS, "repeats": TUNED_REPEATS}

    change_params(project := clone(folder, "tuned"), tune)
    call("dvc", "repro", "--quiet", "embed", cwd=project)
    return seconds(lambda: call(sys.executable, "-m", "stages.train", "learned", cwd=project))


def tuned_point_article(folder: Path) -> float:
    """`model.fit` for each candidate and fold, with EarlyStopping."""
    candidates = TUNE["learning_rates"], TUNE["folds"], TUNED_EPOCHS, PATIENCE
    return by_article("tune", str(folder), TUNED_REPEATS, *candidates)


def predict_file_ours(folder: Path) -> float:
    """Label a Parquet file of 25,000 reviews with one model, imports included."""
    project, out = reproduced(folder), folder / "labelled.csv"
    command = f"python -m stages.predict --variant learned --repeat 0 --file {unlabelled(folder)}"
    return seconds(lambda: call("sh", "-c", f"{command} > {out}", cwd=project))


def predict_file_article(folder: Path) -> float:
    """`texts_to_sequences`, `pad_sequences` and `model.predict`."""
    if not (folder / "model.keras").exists():
        by_article("save", str(folder))
    return by_article("label", str(unlabelled(folder)), str(folder))


def by_article(function: str, *arguments: object) -> float:
    """Call a function of benchmarks/article.py in a process of its own, imports included."""
    code = f"from benchmarks import article; article.{function}(*{arguments!r})"
    return seconds(lambda: call(sys.executable, "-c", code, cwd=ROOT))


def unlabelled(folder: Path) -> Path:
    file = folder / "unlabelled.parquet"
    if not file.exists():
        pq.write_table(pq.read_table(folder / "reviews.parquet", columns=["text"])[:25_000], file)
    return file


def epoch_ways(name: str) -> dict[str, Way]:
    row = EPOCHS[name]
    ways = {"article": partial(epoch_article, row=row)}
    if row.head == "mean" and not row.hidden_units:
        ways["torch"] = partial(epoch_torch, row=row)
    return ways | {"ours": partial(epoch_ours, row=row)}


def score_ways(name: str) -> dict[str, Way]:
    row = EPOCHS[name]
    return {"article": partial(score_article, row=row), "ours": partial(score_ours, row=row)}


# Of each piece of work the ways, ours last.
ROWS: dict[str, dict[str, Way]] = {
    "tokenize": {
        "article": tokenize_article,
        "sklearn": tokenize_sklearn,
        "tokenizers": tokenize_tokenizers,
        "ours": tokenize_ours,
    },
    "unicode_words": {
        "keras": partial(words_ours, method="keras"),
        "spacy": words_spacy,
        "ours": partial(words_ours, method="unicode"),
    },
    "vectors_text": {
        "article": vectors_text_article,
        "gensim": vectors_text_gensim,
        "ours": vectors_text_ours,
    },
    **{name: epoch_ways(name) for name in EPOCHS},
    "fasttext_mean_25k": {
        "fasttext": fasttext_mean_25k_fasttext,
        "ours": fasttext_mean_25k_ours,
    },
    "score_mean": score_ways("epoch_mean_25k"),
    "score_conv": score_ways("epoch_conv"),
    "tfidf": {"sklearn": tfidf_sklearn, "ours": tfidf_ours},
    "end_to_end": {"article": end_to_end_article, "ours": end_to_end_ours},
    "point": {"before": partial(point, name="before", commit=BEFORE), "ours": point},
    "tuned_point": {"article": tuned_point_article, "ours": tuned_point_ours},
    "predict_file": {"article": predict_file_article, "ours": predict_file_ours},
    "noop": {"dvc": noop_dvc, "ours": noop_ours},
}


# What the work needs at least, in operations and in bytes read and written


def of_texts(folder: Path, times: float = 1) -> tuple[float, float]:
    """Read the texts so many times."""
    texts = pq.read_table(folder / "reviews.parquet")["text"]
    return 0, times * pc.sum(pc.binary_length(texts)).as_py()


def of_vectors(folder: Path) -> tuple[float, float]:
    files = (folder / name for name in ("glove.txt", "matrix.npy"))
    return 0, sum(file.stat().st_size for file in files)


def of_layers(row: Epoch, tokens: np.ndarray) -> tuple[float, float]:
    """Take texts from their tokens to what the first layer gives: embed, and multiply or add up."""
    embedded = np.count_nonzero(tokens) * row.dim if row.head == "mean" else tokens.size * row.dim
    if row.head == "flatten":
        return 2 * embedded * max(row.hidden_units, 1), 4 * embedded
    if row.head == "mean":
        return 2 * embedded, 4 * embedded
    projected = CONV_WIDTH * CONV_FILTERS  # numbers of each distinct word, added up at each token
    n_words = len(np.unique(tokens))
    return projected * (2 * n_words * row.dim + tokens.size), 4 * projected * n_words


def of_epoch(folder: Path, row: Epoch) -> tuple[float, float]:
    """Forward and backward, batch by batch, and forward for validation.

    Backward is as much again for the layer, and for the embedding if it is trained. The gradient of
    a convolution's maximum goes to one token a filter and text.
    """
    tokens, _, val_tokens, _ = drawn(folder, row)
    passes = 1.0 if row.head == "conv" else 2 + row.trainable if row.head == "flatten" else 2
    batches = range(0, len(tokens), row.batch_size)
    done = [of_layers(row, tokens[start : start + row.batch_size]) for start in batches]
    train, validation = np.sum(done, axis=0), np.array(of_layers(row, val_tokens))
    need = train * [passes, 1 + row.trainable] + validation
    if row.head == "conv":
        need[0] += 4 * len(tokens) * CONV_FILTERS * CONV_WIDTH * row.dim
    return need[0], need[1]


def of_score(folder: Path, row: Epoch) -> tuple[float, float]:
    return of_layers(row, np.load(folder / f"tokens_{row.maxlen}.npy")[:LABELLED])


NEEDS: dict[str, Callable[[Path], tuple[float, float]]] = {
    "tokenize": partial(of_texts, times=1.5),  # the train split twice
    "unicode_words": partial(of_texts, times=2),
    "vectors_text": of_vectors,
    **{name: partial(of_epoch, row=row) for name, row in EPOCHS.items()},
    "score_mean": partial(of_score, row=EPOCHS["epoch_mean_25k"]),
    "score_conv": partial(of_score, row=EPOCHS["epoch_conv"]),
    "tfidf": partial(of_texts, times=2),
}
