"""Files are written whole, and what is removed is what was named, not what a link leads to."""

import numpy as np
import pytest

from stages.shared import files
from stages.shared.errors import InputError


def test_what_params_yaml_does_not_name_is_removed_file_folder_or_link(tmp_path, capsys):
    folder, elsewhere = tmp_path / "made", tmp_path / "elsewhere"
    for path in (folder / "kept", folder / "old", elsewhere):
        path.mkdir(parents=True)
        (path / "file").touch()
    for name in (".gitignore", "kept.npy", "old.npy"):
        (folder / name).touch()
    (folder / "link").symlink_to(elsewhere)
    (folder / "broken").symlink_to(tmp_path / "nowhere")
    files.remove_all_but(folder, ["kept"])
    assert sorted(path.name for path in folder.iterdir()) == [".gitignore", "kept", "kept.npy"]
    assert (elsewhere / "file").exists()
    assert capsys.readouterr().out.splitlines() == [
        f"{folder / name}: removed, params.yaml does not name it any more"
        for name in ("broken", "link", "old", "old.npy")
    ]


def test_what_fails_while_it_is_written_leaves_what_was_there(tmp_path):
    path = tmp_path / "new" / "a"
    with files.whole(path) as partial:
        partial.mkdir()
        (partial / "file").write_text("first")
    with pytest.raises(KeyError), files.whole(path) as partial:
        partial.write_text("second")
        raise KeyError
    assert (path / "file").read_text() == "first"
    with files.whole(path) as partial:
        assert not partial.exists()
        partial.write_text("third")
    assert path.read_text() == "third"
    assert [of.name for of in path.parent.iterdir()] == ["a"]


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (FileNotFoundError(2, "No such file, says Arrow"), "No such file or directory"),
        (PermissionError(13, "Permission denied", "x"), "Permission denied"),
        (ValueError("two\n lines"), "two lines"),
        (EOFError(), "it ends early"),
        (ValueError("long " * 99), ("long " * 99)[:300]),
    ],
)
def test_why_a_file_cannot_be_read_is_one_line(error, said, tmp_path):
    with pytest.raises(InputError) as caught, files.reading_input(tmp_path, "; mend it"):
        raise error
    assert str(caught.value) == f"{tmp_path} can't be read: {said}; mend it"


def test_that_memory_is_short_is_not_the_files_fault(tmp_path):
    with pytest.raises(OSError, match="memory"), files.reading_input(tmp_path):
        raise OSError(12, "Cannot allocate memory")


def test_an_array_to_fill_has_its_room_on_disk(tmp_path):
    array = files.create_array(tmp_path / "a.npy", (1000, 50), np.float32)
    assert (tmp_path / "a.npy").stat().st_blocks * 512 >= array.nbytes  # before it is filled
    array[:] = 1
    array.flush()
    assert np.load(tmp_path / "a.npy").sum() == 50_000


def test_rows_are_read_a_few_at_a_time_and_all_of_them(tmp_path):
    np.save(tmp_path / "sequences.npy", np.arange(21).reshape(7, 3))
    parts = [*files.read_rows(tmp_path / "sequences.npy", 3)]
    assert [len(part) for part in parts] == [3, 3, 1]
    assert np.concatenate(parts).ravel().tolist() == [*range(21)]
    assert not any(isinstance(part, np.memmap) for part in parts)
