"""True surfaces of a rendered capture: ``surface/000000.npy``, vertices of a time step, and ``surface/faces.npz``."""

from pathlib import Path

import numpy as np
import torch

from avatar.structs import Capture, Mesh

from .errors import CaptureError
from .files import inside, parse_npy, read_bytes, read_npz

LARGEST_M = 1e6
LARGEST_EXTENT_M = 20.0


def read_surface(folder: Path, frame_id: int) -> Mesh | None:
    """The true surface of a time step in the world, metres, or None where the capture in ``folder`` has none.

    Layered as it was modelled: skin goes on under clothes, and sheets of cloth are open. Raises MissingFileError or
    CaptureError, which name the file, when there are vertices but no faces, or one of both is broken.
    """
    path = inside(folder, f"surface/{frame_id:06d}.npy")
    if not path.exists():
        return None
    vertices = _rows_of_three(parse_npy(read_bytes(path), path), "f", path, "vertices")
    if not bool((np.abs(vertices) < LARGEST_M).all()):
        raise CaptureError(path, f"vertices: expected finite numbers below {LARGEST_M:g} in size; export it again")
    if len(vertices) and float(np.ptp(vertices, 0).max()) > LARGEST_EXTENT_M:
        raise CaptureError(
            path, f"vertices: expected a person within {LARGEST_EXTENT_M:g} m; export it again, in metres"
        )
    faces_path = inside(folder, "surface/faces.npz")
    arrays = read_npz(faces_path)
    if "triangles" not in arrays:
        raise CaptureError(faces_path, "has no 'triangles'; export it again")
    faces = _rows_of_three(arrays["triangles"], "iu", faces_path, "triangles")
    if faces.size and not (faces.min() >= 0 and faces.max() < len(vertices)):
        found = f"{faces.min()} to {faces.max()}"
        raise CaptureError(faces_path, f"triangles: expected vertices 0 to {len(vertices) - 1}, got {found}")
    return Mesh(vertices=torch.from_numpy(vertices.astype(np.float32)), faces=torch.from_numpy(faces.astype(np.int64)))


def write_surfaces(capture: Capture, folder: Path) -> None:
    """Write the true surfaces that the capture has; ``read_surface`` gives them back.

    Raises ValueError where their triangles change in time, and what ``capture.load_surface`` raises.
    """
    found = ((frame_id, capture.load_surface(frame_id)) for frame_id in range(capture.num_frames))
    faces = None
    for frame_id, mesh in found:
        if mesh is None:
            continue
        if faces is None:
            faces = mesh.faces
            (folder / "surface").mkdir()
            np.savez_compressed(folder / "surface" / "faces.npz", triangles=faces.int().numpy(force=True))
        if not torch.equal(faces, mesh.faces):
            raise ValueError(f"capture {capture.name!r}: its true surface has other triangles at time step {frame_id}")
        np.save(folder / "surface" / f"{frame_id:06d}.npy", mesh.vertices.numpy(force=True))


def _rows_of_three(array: np.ndarray, kinds: str, path: Path, what: str) -> np.ndarray:
    if array.dtype.kind not in kinds or array.ndim != 2 or array.shape[1] != 3:
        found = f"{array.dtype} of {array.shape}"
        raise CaptureError(path, f"{what}: expected rows of three numbers, got {found}; export it again")
    return array
