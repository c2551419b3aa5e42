"""Vectors that an encoder makes of words and texts, kept block by block in data/encoded/.

It may take an hour. So a run that was killed goes on from the last block, and a later run, such as
for another key of `embed`, computes nothing again. A block is a zip, whose checksum says that it is
whole.
"""

import hashlib
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
from filelock import FileLock
from tqdm import tqdm

from stages.shared import artifacts, encoder
from stages.shared.encoder import Encoder
from stages.shared.files import UNREADABLE, reading, sha256_of, whole

BLOCK = 256  # texts: MiniLM takes some 20 s for as many of 256 tokens, on two cores
CODE = (Path(__file__), Path(encoder.__file__))


def read_texts() -> list[str]:
    """Read the texts of the train split, then those of the test split."""
    with reading(artifacts.TEXTS):
        table = pq.read_table(artifacts.TEXTS, columns=["split", "text"])
    rows = (table.filter(pc.equal(table["split"], split)) for split in ("train", "test"))
    return [text for part in rows for text in part["text"].to_pylist()]


def key_of(name: str, ids: list[np.ndarray]) -> str:
    """Hash all that decides the vectors of texts: the code, the encoder and the texts' tokens."""
    files = [artifacts.vectors(name) / file for file in (encoder.SETTINGS, encoder.WEIGHTS)]
    found = hashlib.sha256("".join(map(sha256_of, [*CODE, *files])).encode())
    for own in ids:
        found.update(np.append(len(own), own).tobytes())
    return found.hexdigest()


def encode(ids: list[np.ndarray], model: Encoder, folder: Path, name: str) -> np.ndarray:
    """Turn the ids of texts into vectors, (n_texts, dim) float32, but for blocks kept in `folder`.

    Texts of about one length share a block, so that little is padded.
    """
    vectors = np.empty((len(ids), model.dim), np.float32)
    order = np.argsort([len(own) for own in ids], kind="stable")
    folder.mkdir(parents=True, exist_ok=True)
    with (
        tqdm(total=len(ids), desc=f"encode by {name}", unit="text") as bar,
        FileLock(folder / ".lock"),  # of two experiments, one takes what the other makes
    ):
        for start in range(0, len(ids), BLOCK):
            rows, path = order[start : start + BLOCK], folder / f"block_{start // BLOCK}.npz"
            if (block := read(path)) is None:
                block = model.vectors([ids[row] for row in rows])
                with whole(path) as partial_file, partial_file.open("wb") as file:
                    np.savez(file, vectors=block)
            vectors[rows] = block
            bar.update(len(rows))
    return vectors


def read(path: Path) -> np.ndarray | None:
    """Read a block; None: it is not there, or was damaged."""
    try:
        with np.load(path) as file:
            return file["vectors"]
    except (*UNREADABLE, RuntimeError):  # the latter of a zip that asks for what zipfile can't do
        return None
