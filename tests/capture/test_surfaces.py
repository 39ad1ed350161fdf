"""True surfaces: what is there comes back; what is broken is one line that names the file."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from avatar.capture import CaptureError, MissingFileError, read_capture, write_capture, write_zju_mocap
from avatar.structs import Mesh

VERTICES = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], np.float32)
TRIANGLES = np.array([[0, 2, 1], [0, 1, 3]], np.int32)


@pytest.fixture
def with_surface(folder: Path) -> Path:
    """The drawn capture with a surface at time step 2."""
    (folder / "surface").mkdir()
    np.save(folder / "surface" / "000002.npy", VERTICES)
    np.savez(folder / "surface" / "faces.npz", triangles=TRIANGLES, part=np.zeros(2, np.uint8))
    return folder


def test_it_is_there_for_some_time_steps(with_surface: Path) -> None:
    capture = read_capture(with_surface)
    mesh = capture.load_surface(2)
    assert mesh is not None
    assert torch.equal(mesh.vertices, torch.from_numpy(VERTICES))
    assert mesh.faces.tolist() == TRIANGLES.tolist()
    assert capture.load_surface(1) is None


def test_both_layouts_keep_it(with_surface: Path, tmp_path: Path) -> None:
    capture = read_capture(with_surface)
    write_capture(capture, tmp_path / "avatar")
    write_zju_mocap(capture, tmp_path / "zju", vertices_world=lambda _: VERTICES, pairs=[(2, 0)])
    for layout in ("avatar", "zju"):
        again = read_capture(tmp_path / layout)
        mesh = again.load_surface(2)
        assert mesh is not None
        assert np.array_equal(mesh.vertices.numpy(), VERTICES)
        assert mesh.faces.tolist() == TRIANGLES.tolist()
        assert again.load_surface(1) is None
        assert torch.equal(again.cameras[0].intrinsics_px, capture.cameras[0].intrinsics_px)


def test_triangles_that_change_are_refused(with_surface: Path, tmp_path: Path) -> None:
    capture = read_capture(with_surface)

    def load_surface(frame_id: int) -> Mesh:
        faces = torch.from_numpy(TRIANGLES.astype(np.int64))
        return Mesh(vertices=torch.from_numpy(VERTICES), faces=faces[: 1 + frame_id % 2])

    with pytest.raises(ValueError, match="other triangles at time step 1"):
        write_capture(replace(capture, load_surface=load_surface), tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_most_captures_have_none(folder: Path) -> None:
    assert read_capture(folder).load_surface(0) is None


def bad(vertices: np.ndarray | None = None, triangles: np.ndarray | None = None) -> Callable[[Path], object]:
    def write(surface: Path) -> None:
        if vertices is not None:
            np.save(surface / "000002.npy", vertices, allow_pickle=True)
        if triangles is not None:
            np.savez(surface / "faces.npz", triangles=triangles)

    return write


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (bad(vertices=VERTICES * np.nan), r"000002\.npy: vertices: expected finite numbers"),
        (
            bad(vertices=VERTICES[:, :2]),
            r"000002\.npy: vertices: expected rows of three numbers, got float32 of \(4, 2",
        ),
        (bad(vertices=VERTICES.astype(object)), r"000002\.npy: holds Python objects"),
        (bad(triangles=TRIANGLES + 2), r"faces\.npz: triangles: expected vertices 0 to 3, got 2 to 5"),
        (bad(triangles=-TRIANGLES), r"faces\.npz: triangles: expected vertices 0 to 3, got -3 to 0"),
        (bad(triangles=TRIANGLES / 2), r"faces\.npz: triangles: expected rows of three numbers, got float64"),
        (lambda surface: np.savez(surface / "faces.npz", quads=TRIANGLES), r"faces\.npz: has no 'triangles'"),
        (lambda surface: (surface / "000002.npy").write_bytes(b"PK"), r"000002\.npy: is not a NumPy file"),
    ],
)
def test_what_is_broken_is_named(with_surface: Path, damage: Callable[[Path], object], message: str) -> None:
    damage(with_surface / "surface")
    with pytest.raises(CaptureError, match=message) as caught:
        read_capture(with_surface).load_surface(2)
    assert "\n" not in str(caught.value)


def test_faces_may_not_be_missing(with_surface: Path) -> None:
    (with_surface / "surface" / "faces.npz").unlink()
    with pytest.raises(MissingFileError, match=r"faces\.npz: no such file"):
        read_capture(with_surface).load_surface(2)
