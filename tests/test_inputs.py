"""Awkward files that people really have, where they are at hand: landed right, or refused."""

import re
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from stages.download import land_texts, land_vectors
from stages.download.tables import TABLE_SUFFIXES
from stages.shared import params
from stages.shared.errors import InputError
from stages.shared.text import LONGEST_MESSAGE
from tests.conftest import PROJECT
from tests.test_tables import source

INPUTS = PROJECT.parent / "shared/inputs"
VECTORS = (".vec", ".bin", ".zip", ".txt")


def land(path: Path) -> int:
    """Land a file as `download` would; returns how many texts or words there are."""
    if path.is_file() and path.suffix in VECTORS:
        of = params.load(PROJECT / "params.yaml").download.vectors["glove"]
        land_vectors.land_vectors(
            "glove", of.model_copy(update={"source": "word2vec", "path": str(path)})
        )
        return len(Path("data/raw/vectors/glove/words.txt").read_bytes().split(b"\n")) - 1
    if path.is_file():
        assert path.suffix in TABLE_SUFFIXES
        kind = "table"
    elif (path / "imdb_word_index.json").exists():
        kind, path = "keras-imdb", next(path.glob("*.npz"))
    else:
        kind = "folder"
    land_texts.land_texts(source(kind, path=str(path), test_fraction=0.4))
    return pq.read_metadata("data/raw/texts.parquet").num_rows


@pytest.mark.skipif(not INPUTS.is_dir(), reason="these files are not here")
def test_every_awkward_file_lands_right_or_is_refused_in_one_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    fate = {}
    for path in sorted(INPUTS.iterdir()):
        try:
            fate[path.name] = land(path)
        except InputError as error:
            fate[path.name] = str(error)
            assert "\n" not in str(error)
            assert len(str(error)) <= LONGEST_MESSAGE
        rows = re.search(r"_(\d+)_rows", path.name)
        assert not rows or fate[path.name] == int(rows[1]), fate[path.name]
    landed = {name for name, what in fate.items() if isinstance(what, int)}
    assert {"zip_with_readme_txt.zip", "phrase_ending_in_a_number.vec"} <= landed
    assert fate["word2vec_binary_with_a_phrase.bin"] == 4
    assert fate["folder_with_AppleDouble_and_upper_case_TXT"] == 24
    assert (
        "has 0 texts in the train split" in fate["folder_where_a_folder_ends_in_txt"]
    )  # two equal texts each
    assert fate["keras_imdb_padded"] == 8  # four in each split, one of them empty
    assert "encrypted" in fate["zip_encrypted.zip"]
    assert "unpack" in fate["zip_deflate64_as_windows_explorer.zip"]
    assert "label" in fate["label_is_a_list.parquet"]
