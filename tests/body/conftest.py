"""A small model of the SMPL family, made here, in the exact forms in which the real files come."""

import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest
from scipy.sparse import csc_matrix

from avatar.body import add_body

# The joints of a person of 1.7 m in metres, y up, facing +z: the left half; the right one mirrors it.
MIDDLE = {"pelvis": (0, -0.24), "spine1": (0, -0.13), "spine2": (0, 0.01), "spine3": (0, 0.06), "neck": (0, 0.27)}
SIDES = {
    **{"hip": (0.06, -0.33), "knee": (0.1, -0.71), "ankle": (0.09, -1.11), "foot": (0.11, -1.17)},
    **{"collar": (0.08, 0.18), "shoulder": (0.17, 0.22), "elbow": (0.43, 0.21), "wrist": (0.68, 0.22)},
}
FINGERS = ("index", "middle", "pinky", "ring", "thumb")
BODY = (
    *("pelvis", "left_hip", "right_hip", "spine1", "left_knee", "right_knee", "spine2", "left_ankle", "right_ankle"),
    *("spine3", "left_foot", "right_foot", "neck", "left_collar", "right_collar", "head", "left_shoulder"),
    *("right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist"),
)
PARENTS = [-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19]
NUM_JOINTS = {"smpl": 24, "smplh": 52, "smplx": 55}
NUM_SHAPES = {"smpl": 10, "smplh": 16, "smplx": 20}

Arrays = dict[str, np.ndarray]


def skeleton(kind: str) -> tuple[np.ndarray, list[int], np.ndarray]:
    """Positions and parents of the joints, and how thick the body is around them."""
    sides = {f"{side}_{name}": (sign * x, y) for name, (x, y) in SIDES.items() for side, sign in SIGNS}
    places = {**MIDDLE, "head": (0, 0.36), **sides}
    joints, parents = [[*places[name], 0.03 if name.endswith("foot") else 0.0] for name in BODY], list(PARENTS)
    if kind == "smpl":
        joints += [[sign * 0.77, 0.21, 0.0] for _, sign in SIGNS]
        parents += [20, 21]
    if kind == "smplx":
        joints += [[0, 0.34, 0.05], [0.03, 0.4, 0.08], [-0.03, 0.4, 0.08]]
        parents += [15, 15, 15]
    if kind != "smpl":
        for wrist, (_, sign) in zip((20, 21), SIGNS, strict=True):
            for finger in range(5):
                parents += [wrist, len(parents), len(parents) + 1]
                joints += [[sign * (0.75 + 0.03 * link), 0.22, 0.05 - 0.025 * finger] for link in range(3)]
    thickness = np.where(np.arange(len(joints)) < len(BODY), 0.09, 0.012)
    return np.array(joints), parents, thickness


SIGNS = (("left", 1.0), ("right", -1.0))


def model(kind: str, is_rigid: bool = False) -> Arrays:
    """An octahedron about every joint, with skin weights, shape and pose blend shapes by chance, or stiff ones."""
    random = np.random.default_rng(7)
    joints, parents, thickness = skeleton(kind)
    num_joints = len(joints)
    corners = np.concatenate([np.eye(3), -np.eye(3)])
    vertices = (joints[:, None] + thickness[:, None, None] * corners).reshape(-1, 3)
    around = [[0, 1, 2], [1, 3, 2], [3, 4, 2], [4, 0, 2], [1, 0, 5], [3, 1, 5], [4, 3, 5], [0, 4, 5]]
    weights = np.zeros((len(vertices), num_joints))
    own = np.arange(len(vertices)) // 6
    weights[np.arange(len(vertices)), own] = random.uniform(0.4, 0.9, len(vertices))
    for _ in range(3):
        weights[np.arange(len(vertices)), random.integers(0, num_joints, len(vertices))] += random.uniform(0, 0.1)
    arrays = {
        "v_template": vertices,
        "f": (6 * np.arange(num_joints)[:, None, None] + np.array(around)).reshape(-1, 3).astype(np.uint32),
        "shapedirs": random.normal(0, 0.01, (len(vertices), 3, NUM_SHAPES[kind])),
        "posedirs": random.normal(0, 0.005, (len(vertices), 3, 9 * (num_joints - 1))),
        "weights": weights / weights.sum(1, keepdims=True),
        "J_regressor": np.kron(np.eye(num_joints), np.full((1, 6), 1 / 6)),
        "kintree_table": np.array([parents, range(num_joints)]).astype(np.uint32),
    }
    if is_rigid:
        arrays["weights"] = (arrays["weights"] == arrays["weights"].max(1, keepdims=True)).astype(np.float64)
        arrays["posedirs"] = 0 * arrays["posedirs"]
    if kind != "smpl":
        for side in "lr":
            arrays[f"hands_components{side}"] = random.normal(0, 0.2, (45, 45))
            arrays[f"hands_mean{side}"] = random.normal(0, 0.1, 45)
    if kind == "smplx":
        arrays["vt"] = random.uniform(0, 1, (3 * len(arrays["f"]), 2))
        arrays["ft"] = np.arange(3 * len(arrays["f"]), dtype=np.uint32).reshape(-1, 3)
        arrays["lmk_faces_idx"] = np.zeros(51, dtype=np.int64)
        arrays["lmk_bary_coords"] = np.full((51, 3), 1 / 3)
        arrays["dynamic_lmk_faces_idx"] = np.zeros((79, 17), dtype=np.int64)
        arrays["dynamic_lmk_bary_coords"] = np.full((79, 17, 3), 1 / 3)
    return arrays


class Ch:
    """Stands for ``chumpy.ch.Ch`` while a file is written."""


class Select:
    """Stands for ``chumpy.reordering.Select``."""


class Python2Pickler(pickle._Pickler):
    """Writes text and bytes as Python 2 did: both as its strings."""

    dispatch: ClassVar[dict[Any, Any]] = dict(pickle._Pickler.dispatch)

    def save_string(self: Any, value: str | bytes) -> None:
        data = value.encode("latin-1") if isinstance(value, str) else value
        if self.proto == 0:
            text = repr(data)[1:].encode("ascii")
            self.write(b"S" + text + b"\n")
        elif len(data) < 256:
            self.write(b"U" + bytes([len(data)]) + data)
        else:
            self.write(b"T" + len(data).to_bytes(4, "little") + data)
        self.memoize(value)

    dispatch[str] = dispatch[bytes] = save_string


def write_npz(path: Path, arrays: Arrays) -> Path:
    """As SMPL-X ships: with members that are pickles."""
    path.parent.mkdir(parents=True, exist_ok=True)
    members: dict[str, Any] = {**arrays, "joint2num": np.array({"pelvis": 0}), "allow_pickle": np.array(True)}
    np.savez(path, **members)
    return path


def write_pickle(path: Path, arrays: Arrays, protocol: int, is_python2: bool) -> Path:
    """As SMPL ships: chumpy arrays, a sparse regressor, and keys that nobody needs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    shapes, select = Ch(), Select()
    full = Ch()
    full.__dict__.update(x=np.concatenate([arrays["shapedirs"]] * 2, -1), _dirty_vars={"x"}, _itr=None)
    ids = np.arange(full.__dict__["x"].size).reshape(full.__dict__["x"].shape)[:, :, : arrays["shapedirs"].shape[2]]
    select.__dict__.update(a=full, idxs=ids.ravel(), preferred_shape=arrays["shapedirs"].shape)
    shapes.__dict__.update(x=arrays["posedirs"], _dirty_vars=set(), _depends_on_deps={})
    regressor = csc_matrix(arrays["J_regressor"])
    content = {
        **arrays,
        "shapedirs": select,
        "posedirs": shapes,
        "J_regressor": regressor,
        "J_regressor_prior": regressor,
        "bs_style": "lbs",
        "bs_type": "lrotmin",
        "pose_training_info": {"gender": "é", "count": 3},
    }
    with path.open("wb") as file, pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "chumpy", ModuleType("chumpy"))
        for kind, module in ((Ch, "chumpy.ch"), (Select, "chumpy.reordering")):
            patch.setitem(sys.modules, module, ModuleType(module))
            patch.setattr(sys.modules[module], kind.__name__, kind, raising=False)
            patch.setattr(kind, "__module__", module)
        pickler = Python2Pickler if is_python2 else pickle._Pickler
        pickler(Renamed(file) if protocol <= 2 else file, protocol).dump(content)
    return path


class Renamed:
    """Writes to a file with the module names that the published files hold."""

    def __init__(self, file: Any) -> None:
        self.file = file

    def write(self, data: bytes) -> None:
        data = bytes(data).replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
        self.file.write(data.replace(b"scipy.sparse._csc", b"scipy.sparse.csc"))


@pytest.fixture(scope="session")
def small() -> SimpleNamespace:
    """The makers of small models and of their files."""
    return SimpleNamespace(arrays=model, write_npz=write_npz, write_pickle=write_pickle)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder for the user's bodies."""
    monkeypatch.setenv("AVATAR_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def brought(cache: Path, tmp_path: Path) -> Callable[..., Arrays]:
    """Brings the small model of a kind, neutral; returns the arrays of its file."""

    def bring(kind: str, is_rigid: bool = False) -> Arrays:
        arrays = model(kind, is_rigid)
        assert add_body(write_npz(tmp_path / f"{kind.upper()}_NEUTRAL.npz", arrays)) == f"{kind}_neutral"
        return arrays

    return bring
