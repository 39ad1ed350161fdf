"""A rigged, textured, animated person as binary glTF 2.0: opens in Blender, Unity, Unreal and three.js."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np

from .glb import INDICES, VERTICES, GlbWriter
from .rigged import JointMotion, RiggedMesh

_STILL = 1e-6  # a joint that turns no more than this needs no channel


def write_rigged_glb(path: Path, mesh: RiggedMesh, motion: JointMotion | None, source: str) -> None:
    """Write mesh, skin, texture and, where there is a motion, its animation; whole or not at all.

    The nodes of the joints stand at rest, so that programs have a bind pose. The texture holds the light of the
    capture: the material is unlit, and where a program knows no unlit ones, matt.
    """
    file = GlbWriter({"source": source, "axes": "x right, y up, z forward of the person", "unit": "metre"})
    joints = _add_joints(file, mesh)
    skin = {
        "joints": joints,
        "skeleton": joints[0],
        "inverseBindMatrices": file.add_array(_inverse_binds(mesh)),
    }
    figure = {"name": "person", "mesh": _add_mesh(file, mesh), "skin": file.add("skins", skin)}
    file.add("scenes", {"nodes": [file.add("nodes", figure), joints[0]]})
    if motion is not None:
        _add_animation(file, motion, joints)
    file.write(path)


def _add_joints(file: GlbWriter, mesh: RiggedMesh) -> list[int]:
    """The nodes of the joints, the root first."""
    nodes = []
    for name, offset, parent in zip(mesh.joint_names, mesh.joint_offsets.tolist(), mesh.parents, strict=True):
        nodes.append(file.add("nodes", {"name": name, "translation": offset}))
        if parent >= 0:
            file.json["nodes"][nodes[parent]].setdefault("children", []).append(nodes[-1])
    return nodes


def _inverse_binds(mesh: RiggedMesh) -> np.ndarray:
    matrices = np.tile(np.eye(4, dtype=np.float32), (len(mesh.joints), 1, 1))
    matrices[:, :3, 3] = -mesh.joints
    return matrices


def _add_mesh(file: GlbWriter, mesh: RiggedMesh) -> int:
    index_type = np.uint16 if len(mesh.vertices) < 2**16 - 1 else np.uint32
    joint_type = np.uint8 if len(mesh.joints) <= 2**8 else np.uint16
    uv = mesh.uv * [1, -1] + [0, 1]  # v downwards
    attributes = {
        "POSITION": file.add_array(mesh.vertices, target=VERTICES, with_bounds=True),
        "NORMAL": file.add_array(mesh.normals, target=VERTICES),
        "TEXCOORD_0": file.add_array(uv.astype(np.float32), target=VERTICES),
        "JOINTS_0": file.add_array(mesh.joint_ids.astype(joint_type), target=VERTICES),
        "WEIGHTS_0": file.add_array(mesh.joint_weights, target=VERTICES),
    }
    primitive = {
        "attributes": attributes,
        "indices": file.add_array(mesh.faces.ravel().astype(index_type), target=INDICES),
        "material": _add_material(file, mesh),
    }
    return file.add("meshes", {"name": "person", "primitives": [primitive]})


def _add_material(file: GlbWriter, mesh: RiggedMesh) -> int:
    image = file.add_png(cv2.imencode(".png", mesh.texture[..., ::-1])[1].tobytes())
    texture = file.add("textures", {"source": image, "sampler": file.add("samplers", {})})
    file.json["extensionsUsed"] = ["KHR_materials_unlit"]
    matt = {"baseColorTexture": {"index": texture}, "metallicFactor": 0, "roughnessFactor": 1}
    unlit: dict[str, Any] = {"KHR_materials_unlit": {}}
    return file.add("materials", {"name": "captured", "pbrMetallicRoughness": matt, "extensions": unlit})


def _add_animation(file: GlbWriter, motion: JointMotion, joints: list[int]) -> None:
    times = file.add_array(motion.times_s.astype(np.float32), with_bounds=True)
    samplers: list[dict[str, Any]] = []
    channels: list[dict[str, Any]] = []

    def add(node: int, path: str, values: np.ndarray) -> None:
        samplers.append({"input": times, "output": file.add_array(values), "interpolation": "LINEAR"})
        channels.append({"sampler": len(samplers) - 1, "target": {"node": node, "path": path}})

    add(joints[0], "translation", motion.root)
    for joint, node in enumerate(joints):
        xyzw = motion.quats[:, joint, [1, 2, 3, 0]]
        if np.abs(xyzw[:, :3]).max() > _STILL:
            add(node, "rotation", xyzw)
    file.add("animations", {"name": "motion", "samplers": samplers, "channels": channels})
