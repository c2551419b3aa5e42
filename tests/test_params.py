"""params.yaml: what is wrong in it is said in one line that names the key."""

import re
import shutil
from pathlib import Path
from typing import get_args

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stages.shared import params
from stages.shared.errors import InputError
from stages.shared.schema import ACLIMDB, OFFICIAL, Loader, Train
from stages.train.loop import SUPPORTED
from tests.conftest import PROJECT, dump_yaml, edit_params, load_yaml

PARAMS = Path(__file__).parents[1] / "params.yaml"


def default() -> dict:
    """The project's parameters, with what a user may add."""
    content = load_yaml(PARAMS.read_text())
    content["embed"] |= {"own": {"fitted": 50}, "both": {"vectors": "glove", "fitted": 50}}
    content["embed"]["texts"] = {"texts": "naive-bayes", "fitted": 50, "weighting": "both"}
    encoder = {"source": "encoder", "path": "x", "sha256": None, "dim": None}
    content["download"]["vectors"]["bert"] = encoder | {"vocabulary_limit": None, "layer": 3}
    content["embed"]["encoded"] = {"texts": "encoder", "vectors": "bert"}
    return content


@pytest.fixture
def edited(tmp_path):
    """Writes the project's params.yaml with one key changed, and loads it."""

    def load(key, value):
        added = ("embed.", "download.vectors.bert")
        content = default() if key.startswith(added) else load_yaml(PARAMS.read_text())
        *parents, last = key.split(".")
        section = content
        for parent in parents:
            section = section[parent]
        section[last] = value
        path = tmp_path / "params.yaml"
        path.write_text(dump_yaml(content))
        return params.load(path)

    return load


def keys(content: dict, prefix: str = "") -> list[str]:
    """The dotted name of every section and value."""
    own = [f"{prefix}{key}" for key in content]
    nested = ((key, value) for key, value in content.items() if isinstance(value, dict))
    return own + [k for key, value in nested for k in keys(value, f"{prefix}{key}.")]


KEYS = keys(default())
WRONG = [[1], {"a": 1}, [], float("nan"), float("inf"), -(10**30), 10**30, object.__name__ * 9]
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


def is_named(error: InputError, key: str) -> bool:
    """Whether a message is one short line that names the key, if by its section and its name."""
    said, (section, _, name) = str(error).partition(": ")[2], key.rpartition(".")
    by_parts = section and said.startswith(section) and re.search(rf"\b{name}\b", said)
    return "\n" not in said and len(said) <= 400 and bool(said.startswith(key) or by_parts)


@pytest.mark.parametrize("key", KEYS)
def test_every_key_refuses_what_it_cant_be(edited, key):
    for value in WRONG:
        try:
            edited(key, value)
        except InputError as error:
            assert is_named(error, key), value
        else:  # a text may be any text, and a section any of its keys
            assert isinstance(value, str), value


@pytest.mark.parametrize("key", KEYS)
def test_a_key_that_is_missing_misspelt_or_too_much_is_named(tmp_path, key):
    *parents, last = key.split(".")
    for change in ("missing", "misspelt", "extra"):
        content = default()
        section = content
        for parent in parents:
            section = section[parent]
        value = section[last] if change == "extra" else section.pop(last)
        if change != "missing":
            section[last + "x"] = value
        path = tmp_path / "params.yaml"
        path.write_text(dump_yaml(content))
        if parents in (["variants"], ["download", "vectors"], ["embed"]):
            continue  # these have names of the user's own
        if (parents[:1] == ["embed"] or last == "layer") and change == "missing":
            continue  # what a start is made of is tested below
        with pytest.raises(InputError) as error:
            params.load(path)
        named = key if change == "missing" else key + "x"
        assert key in str(error.value) or named in str(error.value)
        assert "\n" not in str(error.value)


@given(st.sampled_from(KEYS), ANYTHING)
@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_anything_is_a_parameter_or_an_input_error(edited, key, value):
    try:
        edited(key, value)
    except InputError as error:
        assert is_named(error, key) or key.startswith(("variants", "download.vectors", "embed"))


def test_the_default_parameters_are_valid(project):
    assert params.load(project / "params.yaml").train.samples == 200


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("train.samples", 0, "train.samples is 0, but should be greater than or equal to 1"),
        ("train.samples", "200", "train.samples is '200', but should be a valid integer"),
        ("train.repeats", True, "train.repeats is True, but should be a valid integer"),
        ("train.learning_rate", -1, "train.learning_rate is -1, but should be greater than 0"),
        ("train.learning_rate", float("nan"), "train.learning_rate is nan"),
        ("train.sampels", 200, "train.sampels is not a parameter; known here: samples,"),
        ("optimizer", "adam", "optimizer is not a parameter; known here: seed, download,"),
        ("model.head", "max", "model.head is 'max', but should be 'flatten', 'mean' or 'conv'"),
        (
            "tokenize",
            None,
            "tokenize is None, but should have keys below it; known there: method,",
        ),
        (
            "embed.random",
            50,
            "embed.random is 50, but should have keys below it; known there: dim,",
        ),
        ("embed", ["random"], "embed is ['random'], but should have names of your own below it"),
        ("download.texts.quote", 5, "download.texts.quote is 5, but should be a valid string"),
        ("embed.random", {}, "embed.random should be {dim: 50}, drawn at random, or"),
        ("variants.learned.vectors", "fasttext", "variants.learned.vectors is fasttext"),
        ("variants.learned.frozen", True, "known here: vectors, trainable"),
        ("variants", {}, "variants has no learned"),
        ("variants.gap", {"vectors": "glove", "trainable": True}, "variants.gap would collide"),
        ("variants.best", {"vectors": "glove", "trainable": True}, "variants.best would collide"),
        ("variants.a/b", {"vectors": "glove", "trainable": True}, "variants.a/b"),
        ("variants.learned.vectors", "x", "learned.vectors is x, but embed has only"),
        ("embed.both.vectors", "x", "both.vectors is x, but download.vectors has only glove, bert"),
        ("embed.encoded.vectors", "x", "embed.encoded.vectors is x, but should name an encoder of"),
        (
            "embed.encoded",
            {"texts": "encoder"},
            "embed.encoded.vectors is None, but should name an",
        ),
        ("embed.encoded.vectors", "glove", "of download.vectors, which has bert"),
        ("embed.encoded.fitted", 3, "should be {texts: encoder, vectors: bert} alone"),
        ("embed.encoded.shuffled", True, "should be {texts: encoder, vectors: bert} alone"),
        ("embed.encoded.dim", 3, "should be {texts: encoder, vectors: bert} alone"),
        (
            "embed.both",
            {"vectors": "bert", "match": "folded"},
            "embed.both.match is of a file, but bert an encoder: leave it out",
        ),
        (
            "download.vectors.bert.layer",
            -1,
            "bert.layer is -1, but should be greater than or equal",
        ),
        ("download.vectors.bert.path", None, "download.vectors.bert: source encoder needs a path"),
        ("download.vectors.bert.vocabulary_limit", 9, "9, but an encoder has no list of words"),
        ("download.vectors.glove.layer", 2, "glove.layer is of an encoder, and this is none"),
        ("embed.both.dim", 3, "embed.both should be {dim: 50}, drawn at random, or"),
        ("download.vectors", {}, "download.vectors has no entry: keep one"),
        ("download.reviews", {}, "older version: download.reviews is download.texts now"),
        ("tokenize.num_bigrams", 10, "but model.head flatten reads words in order"),
        ("tokenize.method", "icu", "tokenize.method is 'icu', but should be 'keras' or 'unicode'"),
        ("tokenize.lowercase", "no", "is 'no', but should be True, False or 'turkish'"),
        ("embed.random", {"dim": 3, "match": "folded"}, "embed.random.match is of vectors"),
        ("embed.random", {"dim": 3, "centred": True}, "embed.random.centred is of vectors, and"),
        (
            "embed.random",
            {"dim": 3, "weighting": "rare"},
            "weighting is of fitted columns, and there",
        ),
        ("embed.both.weighting", "all", "is 'all', but should be 'plain', 'rare' or 'both'"),
        ("embed.tfidf.dim", 3, "embed.tfidf should be {dim: 50}, drawn at random, or"),
        ("embed.tfidf.vectors", "glove", "embed.tfidf should be {dim: 50}, drawn at random, or"),
        ("embed.random.fitted", 3, "embed.random should be {dim: 50}, drawn at random, or"),
        ("embed.both.match", "fuzzy", "is 'fuzzy', but should be 'exact' or 'folded'"),
        ("train.word_dropout", 1, "train.word_dropout is 1, but should be less than 1"),
        ("train.tune", {"learning_rates": [], "folds": 2}, "train.tune.learning_rates is []"),
        ("train.tune", {"learning_rates": [1], "folds": 201}, "train.tune.folds is 201"),
        ("train.tune", {"learning_rates": [-1], "folds": 2}, "train.tune.learning_rates"),
        ("train.samples", 0, "train.samples is 0"),
        ("embed.tfidf", {"texts": "tf-idf", "dim": 3}, "embed.tfidf should be {dim: 50}"),
        ("embed.random", {"dim": 3, "shuffled": True}, "embed.random.shuffled is of vectors"),
        ("variants.tfidf.trainable", True, "variants.tfidf.trainable is true, but nothing"),
        ("variants.learned.vectors", "tfidf", "variants.learned must have an embedding"),
        ("download.texts.source", "table", "download.texts: source table needs a path"),
        (
            "download.vectors.glove.path",
            "x.txt",
            "download.vectors.glove: source glove-package takes no path",
        ),
    ],
)
def test_an_impossible_value_is_named_in_one_line(edited, key, value, said):
    with pytest.raises(InputError) as error:
        edited(key, value)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("source", "key", "value", "said"),
    [
        ("folder", "group", "film", "group is for source table, not folder: set it to null"),
        ("folder", "split", "part", "split is for source table, not folder: set it to null"),
        ("folder", "sha256", "0" * 64, "sha256 is for source table or aclimdb or"),
        ("imdb-package", "sha256", "0" * 64, "or keras-imdb, not imdb-package: set it to null"),
        ("imdb-package", "test_fraction", 0.3, "table or folder, not imdb-package: set it to 0.2"),
        ("aclimdb", "split_seed", 1, "split_seed is for source table or folder, not aclimdb: set"),
        ("keras-imdb", "positive", 0, "positive is for source table or folder, not keras-imdb:"),
        ("glove-package", "dim", 100, "glove.dim is 100, but glove-package has 50: set dim to"),
        ("glove-package", "sha256", "0" * 64, "glove.sha256 is for a file, not glove-package"),
    ],
)
def test_what_a_source_would_leave_unread_is_refused(tmp_path, source, key, value, said):
    content = default()
    texts, vectors = content["download"]["texts"], content["download"]["vectors"]["glove"]
    of = vectors if source == "glove-package" else texts
    of |= {"source": source, "path": None if source.endswith("-package") else "x", key: value}
    (tmp_path / "params.yaml").write_text(dump_yaml(content))
    with pytest.raises(InputError) as error:
        params.load(tmp_path / "params.yaml")
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_what_every_source_reads_and_what_is_as_ever_is_not_refused(project, edited):
    assert edited("download.vectors.glove.dim", 50).download.vectors["glove"].dim == 50
    assert edited("download.texts.encoding", "cp1252").download.texts.encoding == "cp1252"
    texts = params.load(project / "params.yaml").download.texts
    assert {key: getattr(texts, key) for key in params.READ_BY} == (
        dict.fromkeys(params.READ_BY) | params.UNUSED
    )


def test_every_optimizer_that_training_supports_may_be_named():
    assert get_args(Train.model_fields["optimizer"].annotation) == SUPPORTED


def test_a_learning_rate_may_be_written_as_dvc_accepts_it(edited):
    assert edited("train.learning_rate", "1e-3").train.learning_rate == 0.001


@pytest.mark.parametrize(
    ("written", "read"),
    [("yes", "yes"), ("no", "no"), ("on", "on"), ("Off", "Off"), ("y", "y"), ("true", True),
     ("'true'", "true"), ("1", 1), ("-2.5", -2.5), ("1e3", 1000), ("007", "007"), ("1:30", "1:30"),
     ("2020-01-01", "2020-01-01"), ("0x1F", "0x1F"), ("1_0", "1_0"), ("~", None), ("null", None)],
)  # fmt: skip
def test_a_label_is_read_as_yaml_1_2_which_dvc_writes(tmp_path, written, read):
    path = tmp_path / "params.yaml"
    content = PARAMS.read_text().replace("source: imdb-package", "source: folder")
    content = content.replace("path: null", "path: x", 1)
    path.write_text(content.replace("positive: null", f"positive: {written}"))
    found = params.load(path).download.texts.positive
    assert (found, type(found)) in ((read, type(read)), (read, float))


@pytest.mark.parametrize("content", ["", "a: [", "- 1", "seed"])
def test_a_file_that_holds_no_parameters_is_refused_in_one_line(tmp_path, content):
    path = tmp_path / "params.yaml"
    path.write_text(content)
    with pytest.raises(InputError) as error:
        params.load(path)
    assert str(error.value).startswith(str(path))
    assert "\n" not in str(error.value)


def test_a_missing_file_is_refused(tmp_path):
    path = tmp_path / "params.yaml"
    with pytest.raises(InputError, match=f"^{re.escape(str(path))}: No such file"):
        params.load(path)


@pytest.mark.parametrize(
    ("path", "is_url"),
    [("http://a/b", True), ("HTTPS://a/b", True), ("a/b", False), ("ftp://a/b", False)],
)
def test_a_url_is_told_from_a_path(path, is_url):
    source = params.load(PARAMS).download.vectors["glove"].model_copy(update={"path": path})
    assert source.is_url is is_url


@pytest.mark.parametrize("name", ["domain", "adapted"])
def test_a_start_drawn_at_random_may_have_a_name_that_meant_another_before(edited, name):
    assert edited(f"embed.{name}", {"dim": 50}).embed[name].is_drawn


def test_what_an_older_file_names_otherwise_is_told_all_at_once(tmp_path):
    path = tmp_path / "params.yaml"
    content = default()
    content["download"] = {"reviews": content["download"]["texts"], "vectors": {"source": "x"}}
    content["embed"] = {
        "random": {"dim": 50},
        "glove": {},
        "domain": {"dim": 20},
        "adapted": {"dim": 3},
    }
    path.write_text(dump_yaml(content))
    with pytest.raises(InputError) as error:
        params.load(path)
    assert str(error.value) == (
        f"{path} is that of an older version: download.reviews is download.texts now; what is below"
        " download.vectors goes below download.vectors.glove; embed.glove is {vectors: glove};"
        " embed.domain is {fitted: 20}; embed.adapted is {vectors: glove, fitted: 3}"
    )


def test_as_many_parts_as_samples_can_be_held_out_and_no_more(tmp_path):
    shutil.copy(PROJECT / "params.yaml", tmp_path)
    edit_params(tmp_path, train__samples=50, train__tune={"learning_rates": [1], "folds": 50})
    assert params.load(tmp_path / "params.yaml").train.tune.folds == 50
    edit_params(tmp_path, train__samples=49)
    said = r"train\.tune\.folds is 50, but train\.samples only 49: set fewer folds"
    with pytest.raises(InputError, match=said):
        params.load(tmp_path / "params.yaml")


def test_what_is_published_has_its_known_checksum_unless_another_is_asked_for():
    texts = params.load(PROJECT / "params.yaml").download.texts
    published = texts.model_copy(update={"source": "aclimdb"})
    assert published.checksum == ACLIMDB[1]
    assert published.model_copy(update={"path": ACLIMDB[0]}).checksum == ACLIMDB[1]
    for address, digest in OFFICIAL.values():
        assert re.fullmatch(r"https://\S+\.(tar\.gz|npz|zip)", address)
        assert re.fullmatch("[0-9a-f]{64}", digest)
    assert published.model_copy(update={"path": "inputs/mine.tar.gz"}).checksum is None
    assert published.model_copy(update={"sha256": "0" * 64}).checksum == "0" * 64
    assert texts.checksum is None


def test_a_key_that_is_there_twice_is_refused_with_its_line(tmp_path):
    path, text = tmp_path / "params.yaml", PARAMS.read_text("utf-8")
    path.write_text(f"{text}train:\n  epochs: 30\n", "utf-8")
    with pytest.raises(InputError) as error:
        params.load(path)
    assert str(error.value).startswith(f"{path}: not valid YAML: the key train is there a second")
    assert f", line {len(text.splitlines()) + 1}, column 1" in str(error.value)
    assert "\n" not in str(error.value)


def test_what_is_merged_into_a_mapping_may_have_its_keys():
    text = """
    base: &base {x: 1, y: 1}
    deep: {deeper: &middle {<<: *base, x: 2}}
    top: {<<: [*middle, *base], y: 3}
    again: {x: 4, <<: *middle}
    """
    middle, top = {"x": 2, "y": 1}, {"x": 2, "y": 3}
    assert yaml.load(text, Loader) == {
        "base": {"x": 1, "y": 1}, "deep": {"deeper": middle}, "top": top, "again": {"x": 4, "y": 1},
    }  # fmt: skip
