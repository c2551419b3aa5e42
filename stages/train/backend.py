"""Keras and TensorFlow, set up; import this module before anything else that imports them.

The same model and data give the same bytes on any number of cores and on any x86 processor with
AVX2: no code uses instructions beyond that, `stages.train.products` keeps products too small
to be cut by the size of a cache, and what is split among threads is split among THREADS everywhere.
"""

import gc
import os
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stages.shared.artifacts import KEPT_BY_KERAS, KEPT_BY_MATPLOTLIB
from stages.train.machine import THREADS

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


@contextmanager
def quick_import() -> Iterator[None]:
    """Import Keras without the libraries of its unused parts, and without collecting garbage.

    Both, with the collection at the end of the process, are over half of the import's time.
    """
    unused = {"matplotlib", "sklearn"} - sys.modules.keys()
    sys.modules.update(dict.fromkeys(unused))  # None: Keras does without
    gc.disable()
    try:
        yield
    finally:
        for name in unused:
            del sys.modules[name]
        gc.freeze()
        gc.enable()


os.environ["KERAS_BACKEND"] = "tensorflow"  # whatever the user's keras.json says
os.environ.setdefault("KERAS_HOME", str(KEPT_BY_KERAS))
os.environ.setdefault("MPLCONFIGDIR", str(KEPT_BY_MATPLOTLIB))  # Keras imports it
if platform.machine() in ("x86_64", "AMD64"):
    # Matrix products are oneDNN's, all else XLA's; what the user has set comes last, and wins.
    os.environ.setdefault("ONEDNN_MAX_CPU_ISA", "AVX2")
    os.environ["XLA_FLAGS"] = f"--xla_cpu_max_isa=AVX2 {os.environ.get('XLA_FLAGS', '')}"
with silence(), quick_import():
    import keras
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(THREADS)
    tf.function(tf.identity, jit_compile=True)(0)  # the first compilation says that it was
