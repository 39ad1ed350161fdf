"""Whose folder it is, and what may be deleted."""

from pathlib import Path

import pytest

from avatar.prepare import open_folder


def test_only_ones_own_folder(tmp_path: Path) -> None:
    out, take, other = (tmp_path / name for name in ("out", "take", "other"))
    open_folder(out, tmp_path / "mistyped")
    open_folder(out, take)
    (out / "cameras.json").touch()
    open_folder(out, take)
    with pytest.raises(ValueError, match=r"holds a capture of .*take; choose another --out"):
        open_folder(out, other)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").touch()
    for folder in (tmp_path / "full", tmp_path / "full" / "thesis.tex"):
        with pytest.raises(ValueError, match="not prepared by avatar"):
            open_folder(folder, take, overwrite=True)


def test_overwriting_deletes_what_was_prepared_alone(tmp_path: Path) -> None:
    out = tmp_path / "out"
    open_folder(out, tmp_path / "take")
    for name in ("prepare/pictures/cam1.npz", "cam1/000000.jpg", "mask/cam1/000000.png", "cameras.json", "mine/a.txt"):
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).touch()
    open_folder(out, tmp_path / "other", overwrite=True)
    left = sorted(str(path.relative_to(out)) for path in out.rglob("*") if path.is_file())
    assert left == ["mine/a.txt", "prepare/made_of.json"]
