"""Time the stages on 25 thousand to 2.5 million reviews: `python -m benchmarks.scale`.

The reviews are the package's, each time cut and joined elsewhere, with a new word now and then, a
fifth of them to test on; the vectors are 2 million of 300 numbers, and the variants five. Prints a
table of processor time and peak resident memory, of which what is mapped from files can be given
back at any time, and draws both into benchmarks/scale.png. Needs some 10 GB of disk.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from matplotlib.ticker import LogLocator

from stages.download.land_texts import read_texts
from stages.download.texts import imdb_package
from stages.report import figures
from stages.report.markdown import lines_of
from stages.shared import artifacts, params
from stages.shared.errors import command_line

ROOT = Path(__file__).parents[1]
REPETITIONS = (1, 10, 100)
N_VECTORS, DIM = 2_000_000, 300
REVIEWS_PER_NEW_WORD = 20
VARIANTS = ("learned", "pretrained", "finetuned", "tfidf", "shuffled")  # of the last two stages
# Of the trainings of networks one is shown: the number of texts reaches each the same way.
STAGES = ("tokenize", "embed", "train learned", "train tfidf", "predict", "evaluate", "report")


def write_vectors(root: Path) -> None:
    """Write as many vectors as word2vec's and fastText's files hold, the common words first."""
    folder = root / artifacts.vectors("glove")
    folder.mkdir(parents=True)
    shape = (N_VECTORS, DIM)
    matrix = np.lib.format.open_memmap(folder / "matrix.npy", "w+", np.float32, shape)
    generator = np.random.default_rng(0)
    for start in range(0, N_VECTORS, 100_000):
        matrix[start : start + 100_000] = generator.random((100_000, DIM), np.float32)
    words = [*dict.fromkeys(" ".join(imdb_package()["text"].to_pylist()).lower().split())]
    words += [f"w{number}" for number in range(N_VECTORS - len(words))]
    (folder / "words.txt").write_text("\n".join(words) + "\n", "utf-8")


def write_reviews(root: Path, repetitions: int) -> None:
    """Write the package's reviews so many times, no two the same."""
    table = read_texts(params.load(ROOT / "params.yaml").download.texts)
    generator, number = np.random.default_rng(0), 0
    with pq.ParquetWriter(root / artifacts.TEXTS, table.schema) as writer:
        for _ in range(repetitions):
            texts = []
            for text in table["text"].to_pylist():
                cut = text.find(" ", generator.integers(len(text)))
                new = f" w{number // REVIEWS_PER_NEW_WORD}" if repetitions > 1 else ""
                texts.append(f"{text[cut:]} {text[:cut]}{new}")
                number += 1
            column = pa.array(texts, table.schema.field("text").type)
            writer.write_table(
                table.set_column(table.schema.get_field_index("text"), "text", column)
            )


def measure(root: Path, stage: str) -> tuple[float, float]:
    """Run a stage: seconds of processor time, peak GiB."""
    command = [sys.executable, "-m", *f"stages.{stage}".split()]
    process = subprocess.Popen(command, cwd=root, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    said = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"{stage}: {said.decode()}")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 2**20


def measure_all(root: Path) -> list[tuple[float, float]]:
    """Run the stages, with every variant's training before those that need it."""
    measured = []
    for stage in STAGES:
        if stage == "predict":
            for variant in VARIANTS:
                if f"train {variant}" not in STAGES:
                    measure(root, f"train {variant}")
        measured.append(measure(root, stage))
    return measured


def add_control(root: Path) -> None:
    """Add a fifth variant to the default's four."""
    content = yaml.safe_load((ROOT / "params.yaml").read_text())
    content["embed"]["shuffled"] = {"vectors": "glove", "shuffled": True}
    content["variants"]["shuffled"] = {"vectors": "shuffled", "trainable": False}
    (root / "params.yaml").write_text(yaml.safe_dump(content))


def draw(sizes: list[int], measured: np.ndarray, path: Path) -> None:
    """Draw seconds and GiB, measured (sizes, stages, 2), over the number of reviews."""
    figure, axes = plt.subplots(1, 2, figsize=(9.6, 4.2), layout="constrained")
    for axis, values, label in (
        (axes[0], measured[..., 0], "processor time (s)"),
        (axes[1], measured[..., 1], "peak resident memory (GiB)"),
    ):
        for stage, color, line in zip(STAGES, figures.COLORS, values.T, strict=False):
            axis.plot(sizes, line, color=color, marker="o", ms=4, label=stage)
        linear = values[-1, 0] * np.array(sizes) / sizes[-1]
        axis.plot(sizes, linear, color="grey", linestyle=":", label="in proportion to the reviews")
        axis.set_xscale("log")
        axis.set_yscale("log")
        axis.set_ylim(bottom=values.min() / 2)
        axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.yaxis.set_major_formatter("{x:g}")
        axis.set_xticks(sizes, [f"{size:,}" for size in sizes])
        axis.minorticks_off()
        axis.set_xlabel("reviews")
        axis.set_ylabel(label)
        axis.grid(alpha=0.25)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4)
    figure.suptitle("What more reviews take, beside 2 million vectors of 300 numbers")
    figures.save(figure, path)


def in_a_process(work: Callable[..., None], *arguments: object) -> None:
    """Call in a process of its own: a child's peak memory starts at its parent's."""
    process = get_context("spawn").Process(target=work, args=arguments)
    process.start()
    process.join()


def main() -> None:
    command_line(__doc__).parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        shutil.copytree(ROOT / "stages", root / "stages")
        add_control(root)
        in_a_process(write_vectors, root)
        sizes, measured, rows = [], [], []
        for repetitions in REPETITIONS:
            in_a_process(write_reviews, root, repetitions)
            (root / "metrics").mkdir(exist_ok=True)
            measured.append(measure_all(root))
            sizes.append(pq.read_metadata(root / artifacts.TEXTS).num_rows)
            cells = [f"{seconds:.1f} s, {peak:.2f} GiB" for seconds, peak in measured[-1]]
            rows.append([f"{sizes[-1]:,}", *cells])
            print(*rows[-1], sep=", ", file=sys.stderr)
    print(lines_of(["reviews", *STAGES], rows, left=0))
    draw(sizes, np.array(measured), ROOT / "benchmarks/scale.png")


if __name__ == "__main__":
    main()
