"""Where fetched files live."""

from pathlib import Path

import pytest

from avatar import assets


def test_cache_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AVATAR_CACHE", str(tmp_path))
    assert assets.cache_folder() == tmp_path
    monkeypatch.delenv("AVATAR_CACHE")
    assert assets.cache_folder().name == "avatar"
