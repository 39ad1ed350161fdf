"""Files and folders appear whole or not at all."""

from pathlib import Path

import pytest

from avatar.atomic import replacing, replacing_folder


def test_success_replaces(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.txt"
    for content in ("first", "second"):
        with replacing(path) as temporary:
            assert temporary.suffix == ".txt"
            temporary.write_text(content)
        assert path.read_text() == content
    assert list(path.parent.iterdir()) == [path]


def test_failure_leaves_what_was(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")

    def interrupted() -> None:
        with replacing(path) as temporary:
            temporary.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_appears_whole(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "folder"
    with replacing_folder(path) as temporary:
        (temporary / "a.txt").write_text("a")
        assert not path.exists()
    assert (path / "a.txt").read_text() == "a"
    assert list(path.parent.iterdir()) == [path]


def test_an_empty_folder_is_replaced(tmp_path: Path) -> None:
    with replacing_folder(tmp_path / "empty") as temporary:
        (tmp_path / "empty").mkdir()
        (temporary / "a.txt").write_text("a")
    assert (tmp_path / "empty" / "a.txt").exists()


def test_what_is_there_is_kept(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("old")
    for path in (tmp_path, tmp_path / "file"):
        with pytest.raises(ValueError, match="expected a new or empty folder"):
            replacing_folder(path).__enter__()
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_failure_leaves_no_folder(tmp_path: Path) -> None:
    def interrupted() -> None:
        with replacing_folder(tmp_path / "new") as temporary:
            (temporary / "half.txt").write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert not list(tmp_path.iterdir())
