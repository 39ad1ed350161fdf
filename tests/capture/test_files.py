"""The doors for files: what is broken, too large or outside the folder is refused in one line."""

import os
import zipfile
from pathlib import Path

import numpy as np
import pytest

from avatar.capture.errors import CaptureError, MissingFileError
from avatar.capture.files import MAX_BYTES, inside, parse_npy, read_bytes, read_json, read_npz, relative_path


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6, dtype=np.int16).reshape(2, 3),
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.array(3.5, dtype=">f4"),
        np.array(["local-ref", "x"]),
        np.zeros((0, 4)),
        np.array([True, False]),
    ],
    ids=["int", "fortran", "scalar", "text", "empty", "bool"],
)
def test_arrays_come_back(tmp_path: Path, array: np.ndarray) -> None:
    np.save(tmp_path / "a.npy", array)
    np.testing.assert_array_equal(parse_npy((tmp_path / "a.npy").read_bytes(), "a.npy"), array, strict=True)


def test_damaged_arrays_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.arange(5.0))
    data = (tmp_path / "a.npy").read_bytes()
    damaged = {
        "cut": data[:-3],
        "long": data + b"x",
        "header cut": data[:30],
        "signature": b"X" + data[1:],
        "version": data[:6] + b"\x09" + data[7:],
        "type": data.replace(b"<f8", b"<q8"),
        "shape": data.replace(b"(5,)", b"(-5,"),
        "huge": data.replace(b"(5,)", b"(9**9,)"),
    }
    for name, content in damaged.items():
        with pytest.raises(CaptureError, match=f"{name}.npy: "):
            parse_npy(content, f"{name}.npy")


def test_characters_beyond_unicode_are_refused(tmp_path: Path) -> None:
    for name, byte_order in ("little", "<"), ("big", ">"):
        text = np.array([1 << 24], byte_order + "u4").view(byte_order + "U1")
        np.save(tmp_path / f"{name}.npy", text)
        with pytest.raises(CaptureError, match=f"{name}.npy: holds text"):
            parse_npy((tmp_path / f"{name}.npy").read_bytes(), f"{name}.npy")


def test_objects_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", a=np.array([{}], dtype=object))
    with pytest.raises(CaptureError, match="holds Python objects"):
        read_npz(tmp_path / "a.npz")


def test_zip_bombs_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "bomb.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("a.npy", "w") as member:
        for _ in range(MAX_BYTES // 2**20 + 1):
            member.write(bytes(2**20))
    assert path.stat().st_size < 2**20
    with pytest.raises(CaptureError, match=r"bomb\.npz: unpacks 1 members"):
        read_npz(path)


def test_members_that_lie_about_their_size_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "lie.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.npy", bytes(2**20))
    path.write_bytes(path.read_bytes().replace((2**20).to_bytes(4, "little"), (100).to_bytes(4, "little")))
    with pytest.raises(CaptureError, match=r"lie\.npz"):
        read_npz(path)


@pytest.mark.parametrize("content", ["{", '{"a": NaN}', "[1]", "[" * 100_000, '{"a": 1e}', "\xff"])
def test_broken_json_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "a.json").write_bytes(content.encode("latin-1"))
    with pytest.raises(CaptureError, match=r"a\.json: "):
        read_json(tmp_path / "a.json")


@pytest.mark.parametrize(
    "name",
    [
        "../a.jpg",
        "a/../../b.jpg",
        "/etc/passwd",
        "\\server\\a",
        "C:/a.jpg",
        "C:a.jpg",
        "..\\a",
        "a\0b",
        "a\nb",
        "",
        "a" * 2000,
    ],
)
def test_paths_that_lead_outside_are_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(CaptureError, match="outside the folder") as caught:
        inside(tmp_path, name)
    assert "\n" not in str(caught.value)


def test_back_slashes_are_slashes(tmp_path: Path) -> None:
    assert relative_path("Camera_B1\\000000.jpg", tmp_path) == "Camera_B1/000000.jpg"


def test_links_that_lead_outside_are_refused(tmp_path: Path) -> None:
    root, secret = tmp_path / "capture", tmp_path / "secret.jpg"
    root.mkdir()
    secret.write_bytes(b"")
    (root / "inner.jpg").write_bytes(b"")
    (root / "link.jpg").symlink_to(secret)
    (root / "loop.jpg").symlink_to(root / "loop.jpg")
    (root / "good.jpg").symlink_to(root / "inner.jpg")
    assert inside(root, "good.jpg") == root / "good.jpg"
    with pytest.raises(CaptureError, match=r"link\.jpg: is a link"):
        inside(root, "link.jpg")
    with pytest.raises(CaptureError, match=r"loop\.jpg"):
        read_bytes(inside(root, "loop.jpg"))


def test_only_regular_files_of_limited_size_are_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "long").write_bytes(bytes(11))
    for name, problem in ("fifo", "regular"), ("long", "11 bytes; at most 10"), (".", "regular"):
        with pytest.raises(CaptureError, match=problem):
            read_bytes(tmp_path / name, limit=10)
    with pytest.raises(FileNotFoundError, match="gone: no such file"):
        read_bytes(tmp_path / "gone")


def test_errors_are_one_line_and_of_the_promised_types() -> None:
    error = MissingFileError("folder/a\nb.jpg", "no such\r\nfile  " + "x" * 1000)
    assert isinstance(error, ValueError)
    assert isinstance(error, FileNotFoundError)
    assert str(error).startswith("folder/a b.jpg: no such file x")
    assert "\n" not in str(error)
    assert len(str(error)) <= 1000
