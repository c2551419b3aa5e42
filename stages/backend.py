"""Keras and TensorFlow, set up; import this module before anything else that imports them."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["keras", "tf"]

LOG_LEVEL = "TF_CPP_MIN_LOG_LEVEL"


@contextmanager
def silence() -> Iterator[None]:
    """Drop what native code writes to standard error, unless the user has set a log level.

    Without a GPU, TensorFlow reports at every start that it looked for one in vain, partly before
    its own log level takes effect. A Python exception still comes through.
    """
    if LOG_LEVEL in os.environ:
        yield
        return
    os.environ[LOG_LEVEL] = "2"
    stderr = os.dup(2)
    with Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)


os.environ["KERAS_BACKEND"] = "tensorflow"  # whatever the user's ~/.keras/keras.json says
with silence():
    import keras
    import tensorflow as tf

    tf.config.list_physical_devices()
