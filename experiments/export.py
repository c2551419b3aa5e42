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
        f"{said}; {count_of(n_away, 'text')} by more than {EQUAL:g}: their capital letters become"
        " other small ones than in Python."
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


def software(packages: list[str]) -> dict[str, str]:
    """List what made the model."""
    return {"python": platform.python_version()} | {name: version(name) for name in packages}


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m experiments.export", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("--variant", help="default: the most accurate")
    parser.add_argument("--repeat", type=int, help="one repeat; default: the mean of all")
    parser.add_argument("--out", type=Path, required=True, help="the folder to write")
    arguments = parser.parse_args()
    settings, variant = params.load(), arguments.variant or labeller.most_accurate()
    weights = labeller.weights_of(settings, variant, arguments.repeat)
    labeller.check_unchanged(settings, variant)
    check_folder(arguments.out)
    is_linear = settings.embed[settings.variants[variant].vectors].texts is not None
    vocabulary = labeller.read_vocabulary(settings.tokenize.num_words)
    by_icu = settings.tokenize.method == "unicode"
    with whole(arguments.out) as folder:
        folder.mkdir()
        (folder / "labels.json").write_text(json.dumps(labeller.read_labels()) + "\n", "utf-8")
        write_vocabulary(folder, vocabulary, settings)
        if is_linear or by_icu:
            write_reader(folder, vocabulary, settings)
        if is_linear:
            kind, use = "linear", LINEAR_USE.format(icu=" and `icu4py`" if by_icu else "")
            np.savez(folder / "weights.npz", **stacked(weights))  # type: ignore[arg-type]
            copy("linear.py", folder / "classify.py")
        else:
            from experiments.string_model import build  # imports TensorFlow, which takes seconds

            kind, use = ("tokens", IDS_USE) if by_icu else ("texts", TEXTS_USE)
            model = build(weights, settings.model.head, vocabulary, settings.tokenize)
            model.save(folder / "model.keras")
        labels, judged = predictions.read([variant])
        repeats = slice(None) if arguments.repeat is None else slice(arguments.repeat, None)
        each = judged[variant].probabilities[repeats][: len(weights)]
        mean = each.mean(axis=0, keepdims=True)
        found = run_alone(folder, kind, read_texts()[:CHECKED].to_pylist())
        difference = how_equal(found, of_each(mean[0], mean.ndim == 2)[:CHECKED])
        packages = ["numpy", *([] if is_linear else ["keras", "tensorflow"]), *["icu4py"] * by_icu]
        text = card(
            variant, settings, json_of(artifacts.DATA), json_of(artifacts.EVALUATION),
            measured(labels, judge(labels, mean), read_groups()), use, difference,
            described(weights, is_linear, settings), software(packages),
        )  # fmt: skip
        (folder / CARD).write_text(text, "utf-8")
    print(f"{arguments.out}: {difference}")


def described(weights: list[Path], is_linear: bool, settings: Params) -> str:
    """Say in a few words what the model is."""
    kind = (
        "a logistic regression on TF-IDF"
        if is_linear
        else f"a network (head `{settings.model.head}`)"
    )
    if len(weights) == 1:
        return kind
    return f"the mean of {len(weights)} models, each {kind}"


if __name__ == "__main__":
    run(main)
