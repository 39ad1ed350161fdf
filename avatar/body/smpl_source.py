"""The files in which users have SMPL, SMPL-H and SMPL-X, ``.npz`` or pickles of chumpy arrays, to one file of ours.

No code in them runs and chumpy is not needed, see ``avatar.restricted_pickle``. What stays is a safetensors file in the
user's cache, in the axes of the house.
"""

import json
import math
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int
from safetensors.numpy import save_file

from avatar.arrays import unpack_npz
from avatar.assets import cache_folder
from avatar.atomic import replacing
from avatar.restricted_pickle import Stub, unpickle

from .smpl_family import JOINT_NAMES, SMPL_RIGS, Gender, Kind, house_axes, parents_of

FORMAT = "avatar body 1"
MAX_BYTES = 2**30
MAX_ELEMENTS = 2**25
OLD_NAMES = {"default_v": "v_template", "template_v": "v_template", "joint_regressor": "J_regressor"}
NEEDED = ("v_template", "f", "shapedirs", "posedirs", "weights", "J_regressor", "kintree_table")
HANDS = tuple(f"hands_{kind}{side}" for kind in ("components", "mean") for side in "lr")
TEXTURE = ("vt", "ft")
WANTED = frozenset((*NEEDED, *HANDS, *TEXTURE, *OLD_NAMES, "blendshapes"))
GENDERS: dict[str, Gender] = {
    **dict.fromkeys(("neutral", "n"), "neutral"),
    **dict.fromkeys(("female", "f"), "female"),
    **dict.fromkeys(("male", "m"), "male"),
}

Arrays = dict[str, np.ndarray]


def body_path(rig: str, cache: Path | None = None) -> Path:
    """Where a body that the user has brought lies; ``cache`` defaults to ``cache_folder()``."""
    return (cache or cache_folder()) / "bodies" / f"{rig}.safetensors"


def installed_bodies(cache: Path | None = None) -> tuple[str, ...]:
    """The rigs among ``SMPL_RIGS`` that the user has brought."""
    return tuple(rig for rig in SMPL_RIGS if body_path(rig, cache).is_file())


def add_body(file: Path, gender: Gender | None = None, cache: Path | None = None) -> str:
    """Read the user's model file and keep it in our form; returns the name of its rig, for ``load_body``.

    Args:
        file: ``.npz``, or ``.pkl`` of any protocol, with the keys of the published files.
        gender: needed where neither the file's name nor its folder's says it.
        cache: the folder to keep it in; default ``cache_folder()``.

    Raises FileNotFoundError, or ValueError in one line that names the file, for what is no such model.
    """
    try:
        arrays = _read(file)
        kind = _kind(arrays)
        tensors = _house_arrays(arrays, kind)
        gender = gender or _gender(file)
    except (ValueError, TypeError, IndexError, OverflowError) as error:
        raise ValueError(" ".join(f"{file}: {error}".split())) from error
    rig = f"{kind}_{gender}"
    about = {"format": FORMAT, "kind": kind, "gender": gender, "source": file.name}
    with replacing(body_path(rig, cache)) as temporary:
        save_file(tensors, temporary, {"avatar": json.dumps(about)})
    return rig


def _read(file: Path) -> Arrays:
    """The arrays of a model file by their usual names; those that a model does not need are not looked at."""
    if not file.is_file():
        raise FileNotFoundError(f"{file}: no such file; give the .npz or .pkl of SMPL, SMPL-H or SMPL-X that you have")
    if (size := file.stat().st_size) > MAX_BYTES:
        raise ValueError(f"has {size} bytes; at most {MAX_BYTES} are read")
    data = file.read_bytes()
    if data[:2] == b"PK":
        arrays = unpack_npz(data, 2 * MAX_BYTES, WANTED)
    else:
        try:
            content = unpickle(data)
        except ValueError as error:
            raise ValueError(f"is neither an .npz file nor a plain pickle of arrays: {error}") from error
        if not isinstance(content, dict):
            raise ValueError("expected a pickled dictionary of arrays")
        arrays = {name: _plain(value, name) for name, value in content.items() if name in WANTED}
    arrays = {OLD_NAMES.get(name, name): array for name, array in arrays.items()}
    if "posedirs" not in arrays and "blendshapes" in arrays:
        arrays["posedirs"] = arrays["blendshapes"]
    if missing := [name for name in NEEDED if name not in arrays]:
        raise ValueError(f"expected {', '.join(NEEDED)}, found no {', '.join(missing)}; is it a body model?")
    return arrays


def _plain(value: object, name: str, depth: int = 0) -> np.ndarray:
    """A NumPy array, or the array that a chumpy or SciPy object held."""
    match value:
        case np.ndarray():
            return value
        case Stub(kind="chumpy.ch Ch", state={"x": held}) if depth < 8:
            return _plain(held, name, depth + 1)
        case Stub(kind="chumpy.reordering Select", state={"a": held, "idxs": ids, "preferred_shape": shape}) if (
            depth < 8 and isinstance(shape, tuple | list | np.ndarray)
        ):
            return _plain(held, name, depth + 1).reshape(-1)[_plain(ids, name)].reshape(tuple(shape))
        case Stub(kind=kind, state=state) if kind.endswith(("csc_matrix", "csr_matrix")):
            return _dense(state, is_by_column=kind.endswith("csc_matrix"))
        case _:
            pass
    found = value.kind if isinstance(value, Stub) else type(value).__name__
    raise ValueError(f"{name}: expected an array, got {found[:80]}, which is not read")


def _dense(state: Mapping[str, object], is_by_column: bool) -> Float[np.ndarray, "rows columns"]:
    """A compressed sparse matrix written out."""
    parts = [state.get(name) for name in ("data", "indices", "indptr")]
    data, ids, starts = (part if isinstance(part, np.ndarray) else np.zeros(0) for part in parts)
    shape = state.get("_shape", state.get("shape"))
    match shape:
        case (int() as rows, int() as columns) if 0 < rows * columns <= MAX_ELEMENTS:
            lines, length = (columns, rows) if is_by_column else (rows, columns)
        case _:
            raise ValueError(f"expected a sparse matrix of known size, got {shape!r:.80}")
    fits = data.shape == ids.shape and data.ndim == 1 and starts.shape == (lines + 1,)
    fits = fits and ids.dtype.kind in "iu" and starts.dtype.kind in "iu" and data.dtype.kind in "fiu"
    counts = np.diff(starts.astype(np.int64))
    if not fits or (counts < 0).any() or starts[0] != 0 or starts[-1] != len(data):
        raise ValueError("expected a sparse matrix, found parts that do not fit together")
    if len(ids) and not 0 <= ids.min() <= ids.max() < length:
        raise ValueError(f"expected a sparse matrix with indices below {length}, found others")
    places = np.repeat(np.arange(lines), counts) * length + ids
    dense = np.bincount(places, weights=data, minlength=lines * length).reshape(lines, length)
    return np.ascontiguousarray(dense.T) if is_by_column else dense


def _kind(arrays: Arrays) -> Kind:
    joints = arrays["weights"].shape[-1] if arrays["weights"].ndim == 2 else 0
    for kind, names in JOINT_NAMES.items():
        if len(names) == joints:
            return kind
    raise ValueError(
        f"weights: expected 24 (SMPL), 52 (SMPL-H) or 55 (SMPL-X) joints, got shape {arrays['weights'].shape}"
    )


def _gender(file: Path) -> Gender:
    """The first word in the name of the file, else of its folder, that says it."""
    for name in (file.stem, file.resolve().parent.name):
        for word in re.findall("[a-z]+", name.lower()):
            if word in GENDERS:
                return GENDERS[word]
    raise ValueError("expected a name with neutral, female or male in it; say which with --gender")


def _house_arrays(arrays: Arrays, kind: Kind) -> Arrays:
    """What we keep of a model, checked, with z up and facing -y."""
    num_joints = len(JOINT_NAMES[kind])
    template = _numbers(arrays, "v_template", (None, 3))
    num_vertices = len(template)
    shapes = _numbers(arrays, "shapedirs", (num_vertices, 3, None))
    bends = _numbers(arrays, "posedirs", (num_vertices, 3, 9 * (num_joints - 1)))
    regressor = _numbers(arrays, "J_regressor", (num_joints, num_vertices))
    faces = _ids(arrays, "f", num_vertices)
    found = tuple(arrays["kintree_table"].reshape(-1).tolist()[1:num_joints])
    if found != parents_of(kind)[1:]:
        raise ValueError(f"kintree_table: expected the parents of {kind}, got {found!r:.100}")
    bends = bends.reshape(num_vertices, 3, num_joints - 1, 3, 3)
    for axis in (1, 3, 4):
        bends = house_axes(bends, axis)
    template, shapes = house_axes(template, 1), house_axes(shapes, 1)
    bone_ids, bone_weights = _influences(_numbers(arrays, "weights", (num_vertices, num_joints)))
    kept = {
        "vertices": template,
        "vertex_directions": shapes.transpose(2, 0, 1),
        "joints": regressor @ template,
        "joint_directions": np.einsum("jv,vad->dja", regressor, shapes, optimize=True),
        "pose_directions": bends.reshape(num_vertices, 3, -1).transpose(2, 0, 1),
        "joint_regressor": regressor,
        "bone_weights": bone_weights,
        **_hands(arrays),
    }
    kept = {name: np.ascontiguousarray(array, dtype=np.float32) for name, array in kept.items()}
    return {**kept, "faces": faces, "bone_ids": bone_ids, **_texture(arrays, faces)}


def _influences(weights: Float[np.ndarray, "v j"]) -> tuple[Int[np.ndarray, "v k"], Float[np.ndarray, "v k"]]:
    """All joints that move each vertex, the strongest first, in as few columns as that takes."""
    sums = weights.sum(1)
    if weights.min() < -1e-6 or np.abs(sums - 1).max() > 1e-3:
        raise ValueError(f"weights: expected rows of a sum of one, got sums from {sums.min():.4g} to {sums.max():.4g}")
    weights = weights.clip(min=0) / weights.clip(min=0).sum(1, keepdims=True)
    most = int((weights > 0).sum(1).max())
    ids = np.argsort(-weights, axis=1, kind="stable")[:, :most]
    return ids.astype(np.int32), np.take_along_axis(weights, ids, 1)


def _hands(arrays: Arrays) -> Arrays:
    """The principal poses of both hands and their means, in the file's axes; none where the file has none."""
    if not all(name in arrays for name in HANDS):
        return {"hand_components": np.zeros((2, 0, 45)), "hand_means": np.zeros((2, 45))}
    components = [_numbers(arrays, f"hands_components{side}", (None, 45)) for side in "lr"]
    if len(components[0]) != len(components[1]):
        raise ValueError("hands_componentsl, hands_componentsr: expected as many of one as of the other")
    means = [_numbers(arrays, f"hands_mean{side}", (45,)) for side in "lr"]
    return {"hand_components": np.stack(components), "hand_means": np.stack(means)}


def _texture(arrays: Arrays, faces: Int[np.ndarray, "t 3"]) -> Arrays:
    """Texture coordinates, of the file or our own."""
    if not all(name in arrays for name in TEXTURE):
        return _atlas(len(faces))
    uv = _numbers(arrays, "vt", (None, 2)).astype(np.float32)
    uv_faces = _ids(arrays, "ft", len(uv))
    if uv_faces.shape != faces.shape:
        raise ValueError(f"ft: expected {faces.shape}, as f has, got {uv_faces.shape}")
    return {"uv": uv, "uv_faces": uv_faces}


def _atlas(num_triangles: int) -> Arrays:
    """Texture coordinates for a file without: every triangle has half a square cell of its own."""
    side = math.ceil(math.sqrt((num_triangles + 1) // 2))
    cells, halves = np.divmod(np.arange(num_triangles), 2)
    corners = np.array([[[0.05, 0.05], [0.85, 0.05], [0.05, 0.85]], [[0.95, 0.95], [0.15, 0.95], [0.95, 0.15]]])
    places = np.stack([cells % side, cells // side], 1)[:, None] + corners[halves]
    uv = (places / side).reshape(-1, 2).astype(np.float32)
    return {"uv": uv, "uv_faces": np.arange(len(uv), dtype=np.int32).reshape(-1, 3)}


def _numbers(arrays: Arrays, name: str, shape: tuple[int | None, ...]) -> Float[np.ndarray, "..."]:
    """Finite numbers of ``shape``, where None is any length but zero."""
    array = arrays[name]
    fits = array.ndim == len(shape) and all(n == m if m else n for n, m in zip(array.shape, shape, strict=True))
    if array.dtype.kind not in "fiu" or not fits or math.prod(array.shape) > MAX_ELEMENTS:
        wanted = ", ".join(str(length or "any") for length in shape)
        raise ValueError(f"{name}: expected numbers of shape ({wanted}), got {array.dtype} of {array.shape}")
    numbers = array.astype(np.float64)
    if not (np.abs(numbers) < 1e4).all():
        raise ValueError(f"{name}: expected finite numbers, found others")
    return numbers


def _ids(arrays: Arrays, name: str, below: int) -> Int[np.ndarray, "t 3"]:
    """Three indices a triangle."""
    array = arrays[name]
    if array.dtype.kind not in "iu" or array.ndim != 2 or array.shape[1] != 3 or not len(array):
        raise ValueError(f"{name}: expected three indices a triangle, got {array.dtype} of {array.shape}")
    if int(array.min()) < 0 or int(array.max()) >= below:
        raise ValueError(f"{name}: expected indices below {below}, got {array.min()} to {array.max()}")
    return array.astype(np.int32)
