"""What is exported works without this project, and gives what the pipeline gave."""

import json
import re
import shutil
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from stages.shared import artifacts
from stages.tokenize.words import KERAS, keras, pad_texts
from tests.conftest import PROJECT, edit_params
from tests.test_docs import blocks
from tests.test_own_texts import scored

BARE = """
import json, sys
import numpy as np
kind, texts = sys.argv[1], json.load(open("texts.json"))
if kind == "linear":
    sys.path.insert(0, ".")
    from classify import probabilities
    found = probabilities(texts)
else:
    import keras
    import tensorflow as tf
    inputs = tf.constant(texts)
    if kind == "tokens":
        sys.path.insert(0, ".")
        from sequences import sequences
        inputs = sequences(texts)
    found = keras.models.load_model("model.keras").predict(inputs, verbose=0)
assert not any(name.split(".")[0] in ("stages", "experiments") for name in sys.modules)
np.save("found.npy", found)
"""


def tool(run, root: Path, name: str, *arguments: str, check: bool = True):
    """Run a tool of experiments/ on a project that has none of its own."""
    code = f"import runpy, sys; sys.path.insert(1, {str(PROJECT)!r}); sys.argv[0] = {name!r};"
    code += f"runpy.run_module('experiments.{name}', run_name='__main__', alter_sys=True)"
    return run(root, "python", "-c", code, *arguments, check=check)


@pytest.fixture(scope="module")
def exported(used, run, made_once):
    """Exports a variant of a project once; returns the folder."""

    def export(project: str, variant: str) -> Path:
        def build(folder: Path) -> None:
            tool(run, used(project), "export", "--variant", variant, "--out", str(folder))

        return made_once(f"exported {project} {variant}", build)

    return export


def alone(run, folder: Path, tmp_path: Path, kind: str, texts: list[str]) -> np.ndarray:
    """What an exported model says in a process that has packages, but not this project."""
    copy = shutil.copytree(folder, tmp_path / "copy")
    (copy / "texts.json").write_text(json.dumps(texts))
    run(copy, "python", "-c", BARE, kind)
    return np.load(copy / "found.npy")


@pytest.mark.parametrize(
    ("project", "variant", "kind"),
    [
        ("flatten", "learned", "texts"),
        ("mean", "learned", "texts"),
        ("conv of eight", "learned", "texts"),
        ("flatten of eight", "learned", "tokens"),
        ("flatten of eight", "tfidf", "linear"),
        ("mean", "tfidf", "linear"),
    ],
)
def test_an_exported_model_gives_the_probabilities_of_the_pipeline(
    used, exported, run, tmp_path, project, variant, kind
):
    texts, each = scored(used(project), variant)
    found = alone(run, exported(project, variant), tmp_path, kind, texts)
    np.testing.assert_allclose(found, each.mean(axis=0), rtol=0, atol=1e-6)


def test_one_repeat_is_exported_alone(used, run, tmp_path):
    root, out = used("flatten"), tmp_path / "model"
    tool(run, root, "export", "--variant", "tfidf", "--repeat", "1", "--out", str(out))
    texts, each = scored(root, "tfidf")
    found = alone(run, out, tmp_path, "linear", texts)
    np.testing.assert_allclose(found, each[1], rtol=0, atol=1e-6)
    card = (out / "README.md").read_text("utf-8")
    assert " It is a logistic regression on TF-IDF, trained on" in card


def test_the_card_says_where_the_model_comes_from_and_how_good_it_is(used, exported):
    root = used("flatten")
    text = (exported("flatten", "learned") / "README.md").read_text("utf-8")
    texts, each = scored(root, "learned")
    table = pq.read_table(root / artifacts.TEXTS)
    labels = table["label"].filter(pc.equal(table["split"], "test")).to_numpy()
    right = (each.mean(axis=0).argmax(axis=1) == labels).mean()
    ends = binomtest(round(right * len(texts)), len(texts)).proportion_ci(0.95, "wilson")
    row = f"| accuracy | {right:.3f} | {ends.low:.3f} to {ends.high:.3f} |"
    assert row in text
    assert text.startswith("# `learned`, trained on aclImdb\n")
    assert " It is the mean of 2 models, each a network (head `flatten`), trained on" in text
    assert "| neg | 100 | 30 |" in text
    assert "| `train.samples` | 40 |" in text
    assert "differ from those of the pipeline by at most" in text
    assert f"| python | {sys.version.split()[0]} |" in text
    of_linear = (exported("flatten", "tfidf") / "README.md").read_text("utf-8")
    for name in ("keras", "tensorflow"):
        row = f"\n| {name} | {version(name)} |\n"
        assert row in text
        assert row not in of_linear


@pytest.mark.parametrize("n_labels", [20, 21])
def test_the_card_has_a_row_for_each_of_twenty_labels(n_labels):
    from experiments.model_card import counted

    data = {"labels": [f"label {i}" for i in range(n_labels)]}
    data |= {"train": range(100, 100 + n_labels), "test": range(n_labels)}
    rows = counted(data).splitlines()[2:]
    assert rows[19] == "| label 19 | 119 | 19 |"
    assert rows[20:] == ["| … |  |  |"] * (n_labels > 20)


def test_the_projector_has_a_row_of_numbers_for_each_word(used, run, tmp_path):
    root = used("flatten")
    tool(run, root, "projector", "--words", "20", "--out", str(tmp_path))
    words = [line.split("\t")[0] for line in (tmp_path / "words.tsv").read_text().splitlines()]
    assert words == ["word", *pq.read_table(root / artifacts.VOCABULARY)["word"].to_pylist()[:20]]
    import h5py

    with h5py.File(root / artifacts.weights("pretrained", 0)) as file:
        trained = file["layers/embedding/vars/0"][1:21]
    initial = np.load(root / artifacts.embedding("glove"))[1:21]
    for name, expected in (("before", initial), ("after", trained)):
        found = np.loadtxt(tmp_path / f"pretrained_{name}.tsv", delimiter="\t")
        np.testing.assert_allclose(found, expected, rtol=1e-5)
    config = (tmp_path / "projector_config.pbtxt").read_text()
    assert config.count("tensor_path") == 2 * 3  # tfidf has none


@pytest.mark.parametrize("variant", ["learned", "tfidf"])
def test_the_card_of_the_best_says_that_it_was_chosen_by_its_scores(used, exported, variant):
    text = (exported("mean", variant) / "README.md").read_text("utf-8")
    assert "icu4py" not in text
    best = json.loads((used("mean") / artifacts.EVALUATION).read_text())["best"]["variant"]
    assert ("on these texts, so all this is rather too good." in text) == (variant == best)


def test_what_the_folder_holds_is_of_the_run(used, exported):
    root, folder = used("mean"), exported("mean", "tfidf")
    words = pq.read_table(root / artifacts.VOCABULARY)["word"].to_pylist()[:499]
    assert (folder / "vocabulary.txt").read_text("utf-8").split("\n") == [*words, ""]
    assert json.loads((folder / "labels.json").read_text()) == ["neg", "pos"]
    pairs = pq.read_table(root / artifacts.BIGRAMS).to_pylist()
    written = json.loads((folder / "settings.json").read_text("utf-8"))["pairs"]
    assert written == [[pair["first"], pair["second"]] for pair in pairs]


def test_a_folder_of_something_else_is_not_overwritten(used, run, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/thesis.txt").write_text("years of work")
    arguments = ("--variant", "tfidf", "--out", str(tmp_path / "mine"))
    done = tool(run, used("flatten"), "export", *arguments, check=False)
    assert done.returncode == 1
    assert "exists and is no exported model" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert (tmp_path / "mine/thesis.txt").exists()


# Words in several scripts, with capital letters of one and of two bytes, marks and odd blanks.
WORDS = [
    "the",
    "a",
    "naïve",
    "été",
    "straße",
    "groß",
    "москва",
    "οδός",
    "ııı",
    "don't",
    "犬",
    "x\xa0y",
]
PIECES = st.sampled_from(
    [*WORDS, *(w.upper() for w in WORDS), "other", "OTHER", *" \t\n.,!-_<", "\r"]
)
ODD = st.characters(exclude_categories=["Cs"], exclude_characters="İΣ")
ODD_TEXTS = st.lists(st.one_of(PIECES, ODD), max_size=12).map("".join)


@pytest.fixture(scope="module", params=[True, False, "turkish"])
def reader(request):
    """A Keras model from texts to sequences of 4 words, and what the stage makes of them."""
    from stages.train.backend import keras as backend

    from experiments.string_model import last_of, words_of

    inputs = backend.Input((), dtype="string")
    outputs = last_of(words_of(inputs, WORDS, request.param), 4)
    model = backend.Model(inputs, outputs)
    rule = KERAS if request.param is True else keras(request.param)

    def ids(texts: list[str]) -> np.ndarray:
        blocks = pad_texts([pa.array(texts)], pa.array(WORDS), len(WORDS) + 1, 4, rule)
        return np.concatenate([block.ids for block in blocks])

    return model, ids


@settings(max_examples=60, deadline=None)
@example(texts=["a", ""])  # as many texts as the longest has characters, and one
@given(texts=st.lists(ODD_TEXTS, min_size=1, max_size=8))
def test_layers_of_keras_read_any_text_as_the_stage_does(reader, texts):
    from stages.train.backend import tf

    model, ids = reader
    # Two letters of Turkish are one, and a Σ has two small letters: the docs name these.
    texts = [re.sub("[Ii]\u0307|[Σİ]", "", text) for text in texts]
    assert model(tf.constant(texts)).numpy().tolist() == ids(texts).tolist()


@pytest.mark.parametrize("method", ["keras", "unicode"])
def test_the_readers_find_the_words_of_the_stage(method, monkeypatch):
    from importlib import import_module

    from stages.tokenize.unicode_words import segment

    monkeypatch.syspath_prepend(str(PROJECT / "experiments/readers"))
    words = import_module(f"{method}_words").words
    texts = [
        "Don't, the 3.5 CAFÉ\u0301s: 我喜欢这部电影！ 👍🏽 🇫🇷 x_y __ \u0301 İi Iı ΟΔΟΣ",
        "",
        "a\u0301\n.b\tc\r",
    ]
    for lowercase in (True, False, "turkish"):
        if method == "unicode":
            of_stage = segment(pa.array(texts), lowercase)
        else:
            rule = keras(lowercase)
            of_stage = [w.as_py().translate(rule.table) for w in rule.prepare(pa.array(texts))]
        expected = [
            str(bytes(getattr(w, "as_py", lambda w=w: w)()), "utf-8").split(" ") for w in of_stage
        ]
        found = [[word for word in words(text, lowercase) if word] for text in texts]
        assert found == [[word for word in row if word] for row in expected]


def test_gensim_and_download_read_the_vectors_and_another_model_starts_from_them(
    used, run, run_stages, make_project, tmp_path
):
    from gensim.models import KeyedVectors

    tool(run, used("flatten"), "vectors", "--out", str(tmp_path / "vectors"))
    names = sorted(path.name for path in (tmp_path / "vectors").iterdir())
    ends = (".bin", ".npy", ".txt", ".words.txt")
    of_each = ("finetuned", "learned", "pretrained")
    assert names == [f"{v}_{p}{e}" for v in of_each for p in ("after", "before") for e in ends]
    base = tmp_path / "vectors/learned_after"
    matrix = np.load(base.with_suffix(".npy"))
    words = base.with_suffix(".words.txt").read_text("utf-8").split("\n")[:-1]
    import h5py

    trained = h5py.File(used("flatten") / artifacts.weights("learned", 0))
    assert (matrix == trained["layers/embedding/vars/0"][1:]).all()
    assert words == pq.read_table(used("flatten") / artifacts.VOCABULARY)["word"].to_pylist()[:499]
    for suffix, binary in ((".txt", False), (".bin", True)):
        path = base.with_suffix(suffix)
        read = KeyedVectors.load_word2vec_format(str(path), binary=binary)
        assert read.index_to_key == words
        assert (read.vectors == matrix).all()
        root = make_project(tmp_path / suffix)
        texts = tmp_path / "other.csv"
        good, bad = "the film {} is good,1\n", "the plot {} is bad,0\n"
        lines = (kind.format(i) for i in range(30) for kind in (good, bad))
        texts.write_text("text,label\n" + "".join(lines))
        edit_params(
            root, download__texts__source="table", download__texts__path=str(texts),
            download__vectors__glove__source="word2vec",
            download__vectors__glove__path=str(path), train__samples=20,
        )  # fmt: skip
        run_stages(root, last="embed")
        own = pq.read_table(root / artifacts.VOCABULARY)["word"].to_pylist()
        start = np.load(root / artifacts.embedding("glove"))
        assert {"the", "film"} <= {*own} & {*words}
        for i, word in enumerate(own, 1):
            expected = matrix[words.index(word)] if word in words else 0
            assert (start[i] == expected).all(), word


def test_a_linear_variant_has_no_vectors(used, run, tmp_path):
    arguments = ("--variant", "tfidf", "--out", str(tmp_path / "vectors"))
    done = tool(run, used("flatten"), "vectors", *arguments, check=False)
    assert done.returncode == 1
    assert done.stderr == (
        "error: variant 'tfidf' has no vectors of words: learned, pretrained, finetuned have\n"
    )


def program(of: str) -> str:
    """The block of Python in docs/use.md that holds a text."""
    [found] = [
        text for language, text in blocks("docs/use.md") if language == "python" and of in text
    ]
    return found


SERVE = """
from fastapi.testclient import TestClient
found = TestClient(app).post("/classify", json=["A great film.", "Dull."])
print(json.dumps([found.status_code, found.json()]))
"""
SIGNATURE = """
import json, tensorflow as tf
served = tf.saved_model.load("serving/1").signatures["serving_default"]
[found] = served(text=tf.constant(["A great film.", "Dull."])).values()
print(json.dumps(found.numpy().tolist()))
"""


@pytest.fixture(scope="module")
def beside(exported, run, tmp_path_factory):
    """A folder that holds an exported model as `model`, and what it says of two texts."""
    root = tmp_path_factory.mktemp("beside")
    found = alone(run, exported("flatten", "learned"), root, "texts", ["A great film.", "Dull."])
    (root / "copy").rename(root / "model")
    return root, found


def said(run, root: Path, code: str):
    """The last line that a program prints in a folder, read as JSON."""
    return json.loads(run(root, "python", "-c", code).stdout.splitlines()[-1])


def test_fastapi_serves_the_model_as_the_docs_say(beside, run):
    pytest.importorskip("fastapi")
    root, expected = beside
    status, found = said(run, root, program("FastAPI()") + SERVE)
    assert status == 200
    assert [[*row] for row in found] == [["neg", "pos"]] * 2
    np.testing.assert_allclose([[*row.values()] for row in found], expected, rtol=0, atol=1e-6)


def test_the_saved_model_for_tensorflow_serving_takes_texts(beside, run):
    root, expected = beside
    found = said(run, root, program(".export(") + SIGNATURE)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)


def test_dvc_knows_the_exported_model_as_an_artifact(reproduced):
    from dvc.repo import Repo

    with Repo(str(reproduced)) as repo:
        [artifact] = repo.artifacts.read()["dvc.yaml"].values()
    declared = yaml.safe_load((PROJECT / "dvc.yaml").read_text())["artifacts"]["classifier"]
    assert (artifact.path, artifact.type) == ("model", "model")
    assert artifact.labels == declared["labels"]
    assert f"--out {artifact.path}/" in artifact.desc
