"""How outputs that params.yaml no longer names are removed."""

from stages.shared.files import remove_all_but


def test_what_is_not_named_goes_and_where_a_link_leads_to_stays(tmp_path, capsys):
    elsewhere, folder = tmp_path / "elsewhere", tmp_path / "models"
    for path in (elsewhere, folder / "old", folder / "kept"):
        path.mkdir(parents=True)
        (path / "file").touch()
    (folder / "old.csv").touch()
    (folder / "kept.csv").touch()
    (folder / "linked").symlink_to(elsewhere)
    (folder / "dangling").symlink_to(tmp_path / "nowhere")
    remove_all_but(folder, ["kept"])
    assert sorted(path.name for path in folder.iterdir()) == ["kept", "kept.csv"]
    assert (elsewhere / "file").exists()
    said = capsys.readouterr().out
    for name in ("old", "old.csv", "linked", "dangling"):
        assert f"{folder / name}: removed, params.yaml does not name it any more\n" in said
