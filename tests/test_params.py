"""params.yaml: what is wrong in it is said in one line that names the key."""

from typing import get_args

import pytest
import yaml

from stages import params
from stages.artifacts import InputError
from stages.training import SUPPORTED


@pytest.fixture
def edited(tmp_path, project):
    """Writes the project's params.yaml with one key changed, and loads it."""

    def load(key, value):
        content = yaml.safe_load((project / "params.yaml").read_text())
        *parents, last = key.split(".")
        section = content
        for parent in parents:
            section = section[parent]
        section[last] = value
        path = tmp_path / "params.yaml"
        path.write_text(yaml.safe_dump(content))
        return params.load(path)

    return load


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
        ("tokenize", None, "tokenize is None, but should be a valid dictionary"),
        ("embed.random", {}, "embed.random.dim is missing"),
        ("variants.learned.vectors", "fasttext", "variants.learned.vectors is 'fasttext'"),
        ("variants.learned.frozen", True, "known here: vectors, trainable"),
        ("variants", {}, "variants has no learned"),
        ("variants.gap", {"vectors": "glove", "trainable": True}, "variants.gap would collide"),
        ("variants.a/b", {"vectors": "glove", "trainable": True}, "variants.a/b"),
        ("download.reviews.source", "table", "download.reviews: source table needs a path"),
        ("download.vectors.path", "x.txt", "download.vectors: source glove-package takes no path"),
    ],
)
def test_an_impossible_value_is_named_in_one_line(edited, key, value, said):
    with pytest.raises(InputError) as error:
        edited(key, value)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_every_optimizer_that_training_supports_may_be_named():
    assert get_args(params.Train.model_fields["optimizer"].annotation) == SUPPORTED


def test_a_learning_rate_may_be_written_as_dvc_accepts_it(edited):
    assert edited("train.learning_rate", "1e-3").train.learning_rate == 0.001


@pytest.mark.parametrize("content", ["", "a: [", "- 1", "seed"])
def test_a_file_that_holds_no_parameters_is_refused_in_one_line(tmp_path, content):
    path = tmp_path / "params.yaml"
    path.write_text(content)
    with pytest.raises(InputError) as error:
        params.load(path)
    assert str(error.value).startswith(str(path))
    assert "\n" not in str(error.value)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(InputError, match="No such file"):
        params.load(tmp_path / "params.yaml")
