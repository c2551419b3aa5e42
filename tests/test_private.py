"""Interfaces of other packages that are not promised: each is used in one place, and is there."""

import inspect
from pathlib import Path

import pytest
import urllib3
from keras import optimizers

from tests.conftest import PROJECT


def users(text: str) -> set[str]:
    """The files of the project's code that hold a text."""
    files = [path for name in ("stages", "experiments") for path in PROJECT.glob(f"{name}/**/*.py")]
    return {path.relative_to(PROJECT).as_posix() for path in files if text in path.read_text()}


@pytest.mark.parametrize(
    ("text", "path"),
    [("keras.src", "stages/train/loop.py"), ("._fp", "stages/download/fetch.py")],
)
def test_what_is_private_is_used_in_one_place(text, path):
    assert users(text) == {path}


def test_the_private_methods_of_keras_optimizers_are_there():
    from keras.src.optimizers.base_optimizer import BaseOptimizer

    assert issubclass(optimizers.RMSprop, BaseOptimizer)
    code = Path(PROJECT / "stages/train/loop.py").read_text()
    for name in ("_var_key", "_backend_update_step", "_apply_weight_decay"):
        assert name in code
        assert callable(getattr(BaseOptimizer, name))


def test_the_body_of_an_answer_of_urllib3_is_where_it_is_looked_for():
    assert "self._fp" in inspect.getsource(urllib3.response.HTTPResponse)
