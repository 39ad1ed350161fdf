"""The animation in a glTF 2.0 file, ``.glb`` or ``.gltf``.

Nodes become joints: those of the first skin and what they hang from, or all where there is no skin. Their own
translation, rotation and scale are the rest pose. Scales are taken as they are at rest.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from avatar.geometry import normalize_quats, quats_from_matrices, slerp
from avatar.structs import Clip

from .files import MAX_JOINTS, MotionError, checked_rate, checked_size, printable, whole_rate
from .gltf_file import GltfFile
from .hierarchy import Hierarchy

RATE_HZ = 30.0  # where the keys are too few to have a rate of their own
SLOWEST_KEYS_HZ = 20.0
MOST_SECONDS = 86400.0
_WIDTHS = {"translation": 3, "rotation": 4}
_ROWS_A_KEY = {"LINEAR": 1, "STEP": 1, "CUBICSPLINE": 3}


@dataclass(frozen=True, kw_only=True, eq=False)
class _Curve:
    """How one joint moves: keys at ``times_s``, each a value, or tangent in, value and tangent out."""

    joint: int
    path: str
    interpolation: str
    times_s: Float[Tensor, " k"]
    keys: Float[Tensor, "k r w"]

    def at(self, times_s: Float[Tensor, " f"]) -> Float[Tensor, "f w"]:
        """Values at these times; those of the first and the last key beyond them."""
        last = len(self.times_s) - 1
        after = torch.searchsorted(self.times_s, times_s, right=True).clamp(min(1, last), last)
        before = (after - 1).clamp(min=0)
        gap = self.times_s[after] - self.times_s[before]
        share = ((times_s - self.times_s[before]) / gap.clamp(min=1e-9)).clamp(0, 1)
        middle = self.keys.shape[1] // 2
        start, end = self.keys[before, middle], self.keys[after, middle]
        if self.interpolation == "STEP":
            return torch.where((share >= 1)[:, None], end, start)
        if self.interpolation == "LINEAR" and self.path == "rotation":
            return slerp(normalize_quats(start), normalize_quats(end), share)
        if self.interpolation == "LINEAR":
            return torch.lerp(start, end, share[:, None])
        leaving, arriving, t = gap[:, None] * self.keys[before, 2], gap[:, None] * self.keys[after, 0], share[:, None]
        held = (2 * t**3 - 3 * t**2 + 1) * start + (3 * t**2 - 2 * t**3) * end
        return held + (t**3 - 2 * t**2 + t) * leaving + (t**3 - t**2) * arriving


def read_gltf_animation(name: str, content: bytes, beside: Callable[[str], bytes]) -> Clip:
    """The first animation of a file, sampled evenly: at the rate of its keys, or else 30 times a second.

    ``beside`` reads the buffers that lie in files of their own. Raises MotionError, a ValueError of one line that names
    the file, when it is broken or does not move.
    """
    file = GltfFile.parse(name, content, beside)
    animations = file.rows("animations")
    if not animations:
        raise MotionError(name, "has no animation in it")
    parents = _parents(file)
    joints = _joints(file, parents)
    checked_size(name, 1, len(joints))
    nodes = file.rows("nodes")
    rest = [_rest(file, nodes[node]) for node in joints]
    quats, offsets, scales = (torch.stack(part) for part in zip(*rest, strict=True))
    curves = _curves(file, animations[0], joints)
    rate, times = _times(name, curves, len(joints))
    moved = {"rotation": quats.repeat(len(times), 1, 1), "translation": offsets.repeat(len(times), 1, 1)}
    for curve in curves:
        moved[curve.path][:, curve.joint] = curve.at(times)
    rows = {node: row for row, node in enumerate(joints)}
    parent_rows = tuple(rows.get(parents[node], -1) for node in joints)
    sizes = _parent_sizes(scales, parent_rows)
    hierarchy = Hierarchy(
        joint_names=tuple(printable(str(nodes[node].get("name", f"node {node}"))) for node in joints),
        parents=parent_rows,
        rest_quats=quats,
        rest_offsets=offsets * sizes,
        local_quats=_unit_quats(name, moved["rotation"]),
        local_offsets=moved["translation"] * sizes,
        up="+y",
        notes=(f"has {len(animations)} animations: the first is taken",) if len(animations) > 1 else (),
    )
    return hierarchy.clip(name, rate)


def _parents(file: GltfFile) -> list[int]:
    """The node above each node, -1 for none."""
    nodes = file.rows("nodes")
    parents = [-1] * len(nodes)
    for index, node in enumerate(nodes):
        children = node.get("children", [])
        for child in children if isinstance(children, list) else [None]:
            child = file.whole(child, len(nodes), "nodes.children")
            if parents[child] >= 0:
                raise MotionError(file.name, f"nodes: {child} has two parents")
            parents[child] = index
    return parents


def _joints(file: GltfFile, parents: Sequence[int]) -> list[int]:
    """The nodes that are joints, or hold one, the parents first."""
    listed = [joint for skin in file.rows("skins") for joint in _joint_list(file, skin, len(parents))]
    wanted = set(listed or range(len(parents)))
    if len(wanted) > MAX_JOINTS:
        raise MotionError(file.name, f"has {len(wanted)} joints; at most {MAX_JOINTS} are read")
    for joint in list(wanted):
        while (joint := parents[joint]) >= 0 and joint not in wanted:
            wanted.add(joint)
    ordered = sorted(joint for joint in wanted if parents[joint] < 0)
    children: dict[int, list[int]] = {}
    for joint in sorted(wanted):
        children.setdefault(parents[joint], []).append(joint)
    for joint in ordered:  # grows as it goes; what only hangs from itself is never reached
        ordered += children.get(joint, [])
    return ordered


def _joint_list(file: GltfFile, skin: Mapping[str, Any], count: int) -> list[int]:
    joints = skin.get("joints")
    return [file.whole(joint, count, "skins.joints") for joint in (joints if isinstance(joints, list) else [None])]


def _rest(file: GltfFile, node: Mapping[str, Any]) -> tuple[Tensor, Tensor, Tensor]:
    """Rotation ``wxyz``, translation and scale of a node."""
    if "matrix" in node:
        matrix = torch.from_numpy(file.vector(node["matrix"], 16, "nodes.matrix")).reshape(4, 4).mT
        scale = matrix[:3, :3].norm(dim=0)
        if not (scale > 0).all() or torch.linalg.det(matrix[:3, :3]) < 0:
            raise MotionError(file.name, "nodes.matrix: expected a rotation with a scale")
        return quats_from_matrices(matrix[:3, :3] / scale), matrix[:3, 3], scale
    x, y, z, w = file.vector(node.get("rotation", [0, 0, 0, 1]), 4, "nodes.rotation")
    quat = _unit_quats(file.name, torch.tensor([w, x, y, z], dtype=torch.float64))
    offset = torch.from_numpy(file.vector(node.get("translation", [0, 0, 0]), 3, "nodes.translation"))
    return quat, offset, torch.from_numpy(file.vector(node.get("scale", [1, 1, 1]), 3, "nodes.scale"))


def _unit_quats(name: str, quats: Float[Tensor, "*b 4"]) -> Float[Tensor, "*b 4"]:
    if not (quats.norm(dim=-1) > 1e-3).all():
        raise MotionError(name, "rotation: expected unit quaternions, got a zero")
    return normalize_quats(quats)


def _parent_sizes(scales: Float[Tensor, "j 3"], parents: Sequence[int]) -> Float[Tensor, "j 3"]:
    """How much all nodes above a joint scale what it is moved by."""
    sizes: list[Tensor] = []
    for parent in parents:
        sizes.append(sizes[parent] * scales[parent] if parent >= 0 else torch.ones_like(scales[0]))
    return torch.stack(sizes)


def _curves(file: GltfFile, animation: dict[str, Any], joints: Sequence[int]) -> list[_Curve]:
    """The curves of joints, without those of scales and of other nodes."""
    rows = {node: row for row, node in enumerate(joints)}
    curves = []
    for channel in file.rows("channels", animation):
        target = channel.get("target")
        if not isinstance(target, dict) or target.get("node") not in rows or target.get("path") not in _WIDTHS:
            continue
        sampler = file.row("samplers", channel.get("sampler"), animation)
        curves.append(_curve(file, sampler, rows[target["node"]], target["path"]))
    if not curves:
        raise MotionError(file.name, "has no animation of joints in it")
    return curves


def _curve(file: GltfFile, sampler: Mapping[str, Any], joint: int, path: str) -> _Curve:
    times = torch.from_numpy(file.accessor(sampler.get("input")))
    keys = torch.from_numpy(file.accessor(sampler.get("output")))
    interpolation = str(sampler.get("interpolation", "LINEAR"))
    rows = _ROWS_A_KEY.get(interpolation, 0)
    if times.shape[1] != 1 or keys.shape != (rows * len(times), _WIDTHS[path]):
        raise MotionError(file.name, f"samplers: {len(keys)} values of {path} do not fit {len(times)} times")
    times = times[:, 0]
    if not (times.diff() > 0).all() or not 0 <= float(times[0]) <= float(times[-1]) <= MOST_SECONDS:
        raise MotionError(file.name, f"samplers: expected times that grow, from 0 to {MOST_SECONDS:g} s")
    keys = keys.reshape(len(times), rows, -1)
    keys = keys[..., [3, 0, 1, 2]] if path == "rotation" else keys
    return _Curve(joint=joint, path=path, interpolation=interpolation, times_s=times, keys=keys)


def _times(name: str, curves: Sequence[_Curve], joints: int) -> tuple[float, Float[Tensor, " f"]]:
    """The frame rate, and the time of every frame."""
    start, end = min(float(curve.times_s[0]) for curve in curves), max(float(curve.times_s[-1]) for curve in curves)
    finest = max(curves, key=lambda curve: len(curve.times_s)).times_s
    rate = 1 / float(finest.diff().median()) if len(finest) > 1 else RATE_HZ
    rate = checked_rate(name, whole_rate(rate if rate >= SLOWEST_KEYS_HZ else RATE_HZ))
    frames = int((end - start) * rate + 1e-3) + 1
    checked_size(name, frames, joints)
    return rate, start + torch.arange(frames, dtype=torch.float64) / rate
