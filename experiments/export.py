"""Write a trained variant to a folder that needs nothing of this project.

    python -m experiments.export --variant learned --out model/

A network becomes a Keras model of texts, made of Keras' own layers. Where ICU finds the words
(tokenize.method: unicode), it is a model of token ids, with a reader in Python. A linear variant
becomes plain arrays, with a reader that takes NumPy.

In:  params.yaml, data/ and metrics/ of the last `dvc repro`.
Out: a folder: model.keras, or weights.npz and classify.py; vocabulary.txt, labels.json, and the
     model card README.md. The probabilities are compared with those of the stage `predict`.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from experiments.model_card import card, measured
from stages.evaluate.__main__ import read_groups, read_texts
from stages.predict import labeller
from stages.shared import artifacts, params, predictions
from stages.shared.errors import InputError, run
from stages.shared.files import reading, whole
from stages.shared.predictions import judge, of_each
from stages.shared.schema import Params
from stages.shared.text import count_of
from stages.tokenize.encoding import Vocabulary

READERS = Path(__file__).with_name("readers")
CHECKED = 5_000  # test texts
EQUAL = 1e-6  # of a probability
CARD = "README.md"
TEXTS_USE = """```python
import json
import keras
import tensorflow as tf

model = keras.models.load_model("model.keras")
labels = json.load(open("labels.json", encoding="utf-8"))
for row in model.predict(tf.constant(["A text."])):
    print(labels[row.argmax()], row.max())
```

It takes TensorFlow and Keras, and nothing else: also `tf.data` of strings, and
`model.export("serving/1")` for TensorFlow Serving."""
IDS_USE = """The model takes token ids, because ICU finds the words, and no layer of Keras does.
`sequences.py` turns texts into ids; it takes NumPy and `icu4py`.

```python
import json
import keras
from sequences import sequences

model = keras.models.load_model("model.keras")
labels = json.load(open("labels.json", encoding="utf-8"))
for row in model.predict(sequences(["A text."])):
    print(labels[row.argmax()], row.max())
```"""
LINEAR_USE = """`python classify.py "A text."`, or from Python:

```python
from classify import LABELS, probabilities

for row in probabilities(["A text."]):
    print(LABELS[row.argmax()], row.max())
```

It takes NumPy{icu}. `weights.npz` holds `idf` (n_ids,), `coefficients` (n_models, n_ids, n_labels)
and `intercept` (n_models, n_labels)."""


USES = {"texts": TEXTS_USE, "tokens": IDS_USE, "linear": LINEAR_USE}


class Trained(NamedTuple):
    """The models to export: of all repeats of a variant, or of one."""

    settings: Params
    variant: str
    repeat: int | None
    weights: list[Path]

    @property
    def by_icu(self) -> bool:
        return self.settings.tokenize.method == "unicode"

    @property
    def kind(self) -> str:
        """Say what the exported model is: `linear`, or a network that takes `texts` or `tokens`."""
        if self.settings.embed[self.settings.variants[self.variant].vectors].texts:
            return "linear"
        return "tokens" if self.by_icu else "texts"

    @property
    def description(self) -> str:
        """Say in a few words what the model is."""
        network = f"a network (head `{self.settings.model.head}`)"
        one = "a logistic regression on TF-IDF" if self.kind == "linear" else network
        n_models = len(self.weights)
        return one if n_models == 1 else f"the mean of {n_models} models, each {one}"


def stacked(weights: list[Path]) -> dict[str, np.ndarray]:
    """Stack the regressions of some repeats: idf, coefficients and intercept, of each label."""
    from stages.train import regression

    of_all = [regression.read(path) for path in weights]
    idf, coefficients, _ = of_all[0]
    if coefficients.ndim == 1:  # of two labels: the logit of the first is 0
        of_all = [[idf, np.stack([0 * c, c], axis=1), np.append(0, b)] for _, c, b in of_all]
    return {
        "idf": idf,
        "coefficients": np.stack([np.float32(of[1]) for of in of_all]),
        "intercept": np.stack([np.float32(of[2]) for of in of_all]),
    }


def write_vocabulary(folder: Path, vocabulary: Vocabulary, settings: Params) -> None:
    """Write the words kept, a line each."""
    words = vocabulary.words[: settings.tokenize.num_words - 1].to_pylist()
    (folder / "vocabulary.txt").write_bytes("".join(f"{word}\n" for word in words).encode())


def write_reader(folder: Path, vocabulary: Vocabulary, settings: Params) -> None:
    """Write what turns texts into sequences without this project."""
    first, second = np.divmod(vocabulary.pairs.to_numpy(), settings.tokenize.num_words)
    words = (vocabulary.words.take(pa.array(ids - 1)).to_pylist() for ids in (first, second))
    content = settings.tokenize.model_dump() | {"pairs": [*zip(*words, strict=True)]}
    (folder / "settings.json").write_text(json.dumps(content, ensure_ascii=False), "utf-8")
    copy(f"{settings.tokenize.method}_words.py", folder / "words.py")
    copy("sequences.py", folder / "sequences.py")


def copy(name: str, target: Path) -> None:
    target.write_bytes((READERS / name).read_bytes())


CHECK = """
import json, sys
import numpy as np
texts = json.load(sys.stdin)
if sys.argv[1] == "linear":
    from classify import probabilities
    found = probabilities(texts)
else:
    import keras
    import tensorflow as tf
    inputs = tf.constant(texts)
    if sys.argv[1] == "tokens":
        from sequences import sequences
        inputs = sequences(texts)
    found = keras.models.load_model("model.keras").predict(inputs, verbose=0)
np.save(sys.argv[2], found)
"""


def run_alone(folder: Path, kind: str, texts: list[str]) -> np.ndarray:
    """Run an exported model in a process that knows nothing of this project."""
    output = folder / "checked.npy"
    environment = {"PYTHONDONTWRITEBYTECODE": "1", "TF_CPP_MIN_LOG_LEVEL": "2"}
    done = subprocess.run(
        [sys.executable, "-c", CHECK, kind, output.name],
        cwd=folder, env=os.environ | environment, input=json.dumps(texts).encode(),
        capture_output=True,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(done.stderr.decode("utf-8", "replace"))
    found = np.load(output)
    output.unlink()
    return found


def how_equal(found: np.ndarray, expected: np.ndarray) -> str:
    """Say how near an exported model is to what is expected: probabilities (n_texts, n_labels)."""
    largest = np.abs(found - expected).max(axis=1)
    n_away = int(np.count_nonzero(largest > EQUAL))
    said = (
        f"On {count_of(len(found), 'test text')}, loaded without the project, its probabilities"
        f" differ from those of the pipeline by at most {largest.max():.1g}"
    )
    if not n_away:
        return f"{said}."
    return (
        f"{said}; {count_of(n_away, 'text')} by more than {EQUAL:g}. A few capital letters are read"
        " otherwise than by the pipeline; if these texts have none, the model is not the same."
    )


def json_of(path: Path) -> dict:
    """Read a metric."""
    with reading(path):
        return json.loads(path.read_text("utf-8"))


def check_folder(folder: Path) -> None:
    """Raise InputError for a folder that holds something else than an exported model."""
    if folder.exists() and not (folder / "labels.json").exists():
        raise InputError(
            f"{folder} exists and is no exported model: name another --out, or move it"
        )


def find(variant: str | None, repeat: int | None) -> Trained:
    """Find the models of a variant, None: the most accurate; raises InputError for none."""
    settings, variant = params.load(), variant or labeller.most_accurate()
    weights = labeller.weights_of(settings, variant, repeat)
    if settings.embed[settings.variants[variant].vectors].texts == "encoder":
        raise InputError(
            f"{variant} takes an encoder, which can't be exported: python -m stages.predict labels"
            " texts with it"
        )
    labeller.check_unchanged(settings, variant)
    return Trained(settings, variant, repeat, weights)


def write_model(folder: Path, trained: Trained) -> None:
    """Write the model, its labels, its vocabulary, and what else it takes to read texts."""
    settings = trained.settings
    vocabulary = labeller.read_vocabulary(settings.tokenize.num_words)
    (folder / "labels.json").write_text(json.dumps(labeller.read_labels()) + "\n", "utf-8")
    write_vocabulary(folder, vocabulary, settings)
    if trained.kind != "texts":
        write_reader(folder, vocabulary, settings)
    if trained.kind == "linear":
        np.savez(folder / "weights.npz", **stacked(trained.weights))  # type: ignore[arg-type]
        copy("linear.py", folder / "classify.py")
    else:
        from experiments.string_model import build  # imports TensorFlow, which takes seconds

        model = build(trained.weights, settings.model.head, vocabulary, settings.tokenize)
        model.save(folder / "model.keras")


def expected(trained: Trained) -> tuple[np.ndarray, np.ndarray]:
    """Read what the stage predicted: labels, (n_texts,), and the mean over repeats, (1, n_texts).

    Of more than two labels the latter is (1, n_texts, n_labels).
    """
    labels, judged = predictions.read([trained.variant])
    each = judged[trained.variant].probabilities
    if trained.repeat is not None:
        each = each[[trained.repeat]]
    return labels, each.mean(axis=0, keepdims=True)


def write_card(folder: Path, trained: Trained) -> str:
    """Compare the model with the predictions, and write its card; returns how equal it is."""
    labels, mean = expected(trained)
    found = run_alone(folder, trained.kind, read_texts(np.arange(min(CHECKED, len(labels)))))
    difference = how_equal(found, of_each(mean[0], mean.ndim == 2)[:CHECKED])
    packages = ["numpy"] + ["keras", "tensorflow"] * (trained.kind != "linear")
    packages += ["icu4py"] * trained.by_icu
    versions = {name: version(name) for name in packages}
    text = card(
        trained.variant,
        trained.settings,
        json_of(artifacts.DATA),
        json_of(artifacts.EVALUATION),
        measured(labels, judge(labels, mean), read_groups()),
        USES[trained.kind].format(icu=" and `icu4py`" if trained.by_icu else ""),
        difference,
        trained.description,
        {"python": platform.python_version()} | versions,
    )
    (folder / CARD).write_text(text, "utf-8")
    return difference


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m experiments.export", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("--variant", help="default: the most accurate")
    parser.add_argument("--repeat", type=int, help="one repeat; default: the mean of all")
    parser.add_argument("--out", type=Path, required=True, help="the folder to write")
    arguments = parser.parse_args()
    trained = find(arguments.variant, arguments.repeat)
    check_folder(arguments.out)
    with whole(arguments.out) as folder:
        folder.mkdir()
        write_model(folder, trained)
        difference = write_card(folder, trained)
    print(f"{arguments.out}: {difference}")


if __name__ == "__main__":
    run(main)
