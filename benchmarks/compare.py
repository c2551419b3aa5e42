"""Time the article's way and ours in turns: `make bench`, or `python -m benchmarks.compare ROW…`.

Each measurement is a process of its own, so that its peak memory is its own, and the two sides
take turns. Data come from the packages of requirements.txt, or from ../shared/data where it is.
Writes benchmarks/results.json and prints the table.
"""

import argparse
import json
import os
import platform
import random
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from threading import Barrier

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
from tqdm import tqdm

from stages.report.markdown import lines_of

ROOT = Path(__file__).parents[1]
OFFICIAL = os.environ.get("ACLIMDB")  # the path of aclImdb, to measure on all of it
RESULTS = Path(__file__).with_name("results.json")
COMMAND = [sys.executable, "-m", "benchmarks.compare"]
ROUNDS = 3
REPEATS = 5  # of the default comparison
NUM_WORDS = 10_000
LABELLED = 25_000  # reviews that epochs draw from: all of the package, or aclImdb's train split
# n_train, n_val, maxlen, dim, trainable, head, hidden units, batch size
EPOCHS = {
    "epoch_listing1": (20_000, 5_000, 20, 8, True, "flatten", 0, 32),
    "epoch_listing2": (200, 10_000, 100, 100, False, "flatten", 32, 32),
    "epoch_trainable_20k": (20_000, 5_000, 100, 100, True, "flatten", 32, 32),
    "epoch_mean_25k": (25_000, 0, 400, 100, True, "mean", 0, 64),
    "epoch_conv": (4_000, 1_000, 100, 100, True, "conv", 32, 32),
}
# Ours, chosen on 5,000 reviews held out of the train split.
MEAN_HEAD = {"epochs": 1, "batch_size": 512, "optimizer": "adam", "learning_rate": 0.04}


def prepare(folder: Path) -> None:
    """Write what both sides read: reviews.parquet, reviews.csv, glove.txt, tokens and labels."""
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
    for maxlen in sorted({row[2] for row in EPOCHS.values()}):
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


def tokenize(side: str, folder: Path) -> float:
    """Fit on the train split and pad both splits, from and to memory."""
    table = pq.read_table(folder / "reviews.parquet")
    train = table.filter(pc.field("split") == "train")["text"]
    if side == "ours":
        from stages.tokenize.words import count_words, pad_texts

        def work():
            words = count_words(train.chunks)["word"]
            blocks = pad_texts(table["text"].chunks, words, NUM_WORDS, 100)
            return np.concatenate([block.ids for block in blocks])
    else:
        from benchmarks import article

        train, texts = train.to_pylist(), table["text"].to_pylist()

        def work():
            return article.tokenize(train, texts)

    return seconds(work)


def vectors_text(side: str, folder: Path) -> float:
    """Read a GloVe text file: into a dictionary, or into words.txt and matrix.npy on disk."""
    if side == "ours":
        from stages.download import vectors
        from stages.download.land_vectors import write_vectors

        out = folder / "out"
        out.mkdir(exist_ok=True)
        files = out / "words.txt", out / "matrix.npy"
        return seconds(lambda: write_vectors(vectors.vector_file(folder / "glove.txt"), *files))
    from benchmarks import article

    return seconds(lambda: article.read_vectors(folder / "glove.txt"))


def epoch(side: str, folder: Path, row: str) -> float:
    """Train: seconds per epoch, the median of three after one that compiles.

    Ours trains two repeats at a time, as `stages.train` does: the time of an epoch of both, halved.
    """
    n_train, n_val, maxlen, dim, trainable, head, hidden_units, batch_size = EPOCHS[row]
    tokens, labels = np.load(folder / f"tokens_{maxlen}.npy"), np.load(folder / "labels.npy")
    order = np.random.default_rng(0).permutation(LABELLED)
    rows, val_rows = order[:n_train], order[len(order) - (n_val or 1000) :]
    data = tokens[rows], labels[rows], tokens[val_rows], labels[val_rows]
    matrix = np.random.default_rng(1).uniform(-0.05, 0.05, (NUM_WORDS, dim)).astype(np.float32)
    times = []
    if side == "ours":
        from stages.train.loop import Loop, initial_weights
        from stages.train.machine import THREADS
        from stages.train.network import build_model

        network = build_model(head, NUM_WORDS, dim, maxlen, hidden_units, trainable)
        fit = Loop(network, "rmsprop", 0.001, batch_size).fit
        initial = initial_weights(network, 0, matrix)
        in_step = Barrier(THREADS, lambda: times.append(time.perf_counter()))

        def repeat(number):
            orders = (np.random.default_rng((number, e)).permutation(n_train) for e in range(4))
            fit(initial, *data, orders, on_epoch=lambda _: in_step.wait())

        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(repeat, range(THREADS)))
        times = [both / THREADS for both in np.diff(times, prepend=0)]
    else:
        from benchmarks import article

        network = article.build(dim, maxlen, hidden_units, head)
        network.layers[0].set_weights([matrix])
        network.layers[0].trainable = trainable
        article.compile_model(network)
        for _ in range(4):
            times.append(
                seconds(
                    lambda: network.fit(
                        *data[:2], batch_size=batch_size, validation_data=data[2:], verbose=0
                    )
                )
            )
    return statistics.median(times[1:])


def score_conv(side: str, folder: Path) -> float:
    """Score the reviews with a convolution: the median of three, after one that compiles."""
    tokens = np.load(folder / "tokens_100.npy")[:LABELLED]
    if side == "ours":
        from stages.predict.scoring import Scorer
        from stages.train.network import build_model

        network = build_model("conv", NUM_WORDS, 100, 100, 32, True)
        predict = partial(Scorer(network).predict, network.get_weights())
    else:
        from benchmarks import article

        predict = partial(article.build(100, 100, head="conv").predict, verbose=0)
    return statistics.median([seconds(lambda: predict(tokens)) for _ in range(4)][1:])


def clone(folder: Path, name: str) -> Path:
    """Clone the project's last commit, with an empty cache."""
    target = folder / name
    shutil.rmtree(target, ignore_errors=True)
    subprocess.run(["git", "clone", "--quiet", ROOT, target], check=True)
    return target


def end_to_end(side: str, folder: Path) -> float:
    """Learned and pretrained, five repeats: the script in a loop, or `dvc repro`, from nothing."""
    if side == "ours":
        import yaml

        project = clone(folder, "project")
        params = yaml.safe_load((project / "params.yaml").read_text())
        del params["variants"]["finetuned"]
        (project / "params.yaml").write_text(yaml.safe_dump(params))
        return seconds(lambda: call("dvc", "repro", "--quiet", cwd=project))

    def work():
        for seed in range(REPEATS):
            call(sys.executable, ROOT / "benchmarks/article.py", "reviews.csv", "glove.txt", seed,
                 cwd=folder)  # fmt: skip

    return seconds(work)


def noop(side: str, folder: Path) -> float:
    """`dvc repro` with nothing to do, median of five: ours, or as many stages that copy a line."""
    project = folder / ("noop_project" if side == "ours" else "noop_trivial")
    if not project.exists():
        if side == "ours":
            call("dvc", "repro", "--quiet", cwd=clone(folder, project.name))
        else:
            import yaml

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
    runs = (seconds(lambda: call("dvc", "repro", "--quiet", cwd=project)) for _ in range(5))
    return statistics.median(runs)


def call(*command: object, cwd: Path) -> None:
    """Run a command, silent unless it fails, with this interpreter's programs first on PATH."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd, env=os.environ | {"PATH": path}, capture_output=True, text=True,
    )  # fmt: skip
    if done.returncode:
        sys.exit(f"{command}\n{done.stdout}\n{done.stderr}")


def fasttext_mean_25k(side: str, folder: Path) -> float:
    """Train on the whole train split to the accuracy that fastText's five epochs reach."""
    tokens, labels = np.load(folder / "tokens_400.npy"), np.load(folder / "labels.npy")
    n_train = int(np.load(folder / "n_train.npy"))
    if side == "baseline":
        import fasttext

        classifier = None
        while classifier is None:
            start = time.perf_counter()
            try:
                classifier = fasttext.train_supervised(
                    str(folder / "fasttext_train.txt"), dim=100, epoch=5, thread=os.cpu_count(),
                    verbose=0,
                )  # fmt: skip
            except RuntimeError as error:  # its threads race, and now and then they diverge
                print(f"fasttext_mean_25k: {error} Trained again.", file=sys.stderr)
        elapsed = time.perf_counter() - start
        accuracy = classifier.test(str(folder / "fasttext_test.txt"))[1]
    else:
        from stages.predict.scoring import Scorer
        from stages.train.loop import Loop, initial_weights
        from stages.train.network import build_model

        matrix = np.random.default_rng(1).uniform(-0.05, 0.05, (NUM_WORDS, 100))
        network = build_model("mean", NUM_WORDS, 100, tokens.shape[1], 0, True)
        initial = initial_weights(network, 0, matrix.astype(np.float32))
        orders = (np.random.default_rng(e).permutation(n_train) for e in range(MEAN_HEAD["epochs"]))
        data = (tokens[:n_train], labels[:n_train], tokens[:64], labels[:64])
        weights = None

        def work():
            nonlocal weights
            chosen = (MEAN_HEAD[key] for key in ("optimizer", "learning_rate", "batch_size"))
            weights, _ = Loop(network, *chosen).fit(initial, *data, orders)

        elapsed = seconds(work)
        probabilities = Scorer(network).predict(weights, tokens[n_train:])
        accuracy = np.mean((probabilities > 0.5) == labels[n_train:])
    print(f"fasttext_mean_25k, {side}: test accuracy {accuracy:.4f}", file=sys.stderr)
    return elapsed


ROWS: dict[str, Callable[[str, Path], float]] = {
    "tokenize": tokenize,
    "vectors_text": vectors_text,
    **{row: lambda side, folder, row=row: epoch(side, folder, row) for row in EPOCHS},
    "score_conv": score_conv,
    "end_to_end": end_to_end,
    "noop": noop,
    "fasttext_mean_25k": fasttext_mean_25k,
}


def measure(row: str, side: str, folder: Path) -> dict[str, float]:
    """Measure one side of a row in a process of its own: seconds and peak MiB."""
    command = [*COMMAND, row, "--side", side, "--folder", folder]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{row}, {side}:\n{done.stdout}\n{done.stderr}")
    for line in done.stderr.splitlines():
        if line.startswith("fast"):
            tqdm.write(line)
    return json.loads(done.stdout.splitlines()[-1])


def compare(row: str, folder: Path) -> dict[str, float]:
    """Measure both sides of a row in turns; medians over the rounds."""
    rounds = [
        {side: measure(row, side, folder) for side in ("baseline", "ours")} for _ in range(ROUNDS)
    ]
    result = {}
    for side in ("baseline", "ours"):
        result[f"{side}_s"] = round(statistics.median(r[side]["s"] for r in rounds), 4)
        peak = statistics.median(r[side]["peak_mib"] for r in rounds)
        result[f"{side}_peak_mib"] = round(peak)
    result["ratio"] = round(result["baseline_s"] / result["ours_s"], 2)
    return result


def table(results: dict[str, dict[str, float]]) -> str:
    """Lay the results out as a Markdown table."""
    header = ["work", "article's way", "ours", "ratio", "peak, article's way", "peak, ours"]
    rows = [
        [
            row,
            f"{result['baseline_s']:.3g} s",
            f"{result['ours_s']:.3g} s",
            f"{result['ratio']:.1f}",
            f"{result['baseline_peak_mib']:,} MiB",
            f"{result['ours_peak_mib']:,} MiB",
        ]
        for row, result in results.items()
    ]
    return lines_of(header, rows)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.compare", description=__doc__)
    parser.add_argument("rows", nargs="*", choices=[*ROWS, []], help="all, if none is named")
    parser.add_argument("--side", choices=["baseline", "ours"], help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.folder and not arguments.side:
        prepare(arguments.folder)
        return
    if arguments.side:
        elapsed = ROWS[arguments.rows[0]](arguments.side, arguments.folder)
        peak_kib = max(
            resource.getrusage(who).ru_maxrss
            for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
        )
        print(json.dumps({"s": elapsed, "peak_mib": peak_kib / 1024}))
        return
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    with tempfile.TemporaryDirectory() as folder:
        # In a process of its own too: a child's peak memory starts at its parent's.
        subprocess.run([*COMMAND, "--folder", folder], cwd=ROOT, check=True)
        for row in tqdm(arguments.rows or ROWS, unit="row"):
            if row == "fasttext_mean_25k" and find_spec("fasttext") is None:
                tqdm.write(f"{row}: left out, the package fasttext is not installed")
                continue
            results[row] = compare(row, Path(folder))
            tqdm.write(f"{row}: {results[row]}")
            RESULTS.write_text(json.dumps(results, indent=2) + "\n")
    print(f"\n{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}\n")
    print(table({row: results[row] for row in ROWS if row in results}))


if __name__ == "__main__":
    main()
