"""SMPL, SMPL-H and SMPL-X, from the user's own files (``avatar assets add-body``).

Written from the papers' equations, see ``smpl_family``. Everything is in the axes of the house: the body stands upright
along z and faces -y at rest, the arms stretched out.
"""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from jaxtyping import Float, Int
from safetensors import SafetensorError, safe_open
from torch import Tensor

from avatar.structs import Body, Mesh, Pose, Shape

from .rig import Rig, ShapedBody
from .shape_space import BlendShapes, LinearShapes
from .smpl_family import JOINT_NAMES, Kind, parents_of
from .smpl_source import FORMAT

NUM_BETAS = 10
REACH = 3.0
_KEYPOINTS = tuple(
    f"{side}_{joint}" for joint in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle") for side in ("left", "right")
)
_PARTS = {
    "head": ("head", "jaw", "eye"),
    "hand": ("wrist", "hand", "index", "middle", "pinky", "ring", "thumb"),
    "foot": ("ankle", "foot"),
}


@dataclass(frozen=True, kw_only=True, eq=False)
class SmplBody:
    """A model of the SMPL family.

    Attributes:
        kind: which of the three.
        rig: skeleton, skin weights, triangles.
        shape_space: the parameters ``beta_0`` on and, in SMPL-X, ``expression_0`` on; standard deviations.
        vertices, joints: rest positions by shape, metres.
        pose_directions: pose blend shapes, see ``avatar.structs.Body``.
        joint_regressor: weights of the vertices at rest that give the joints.
        hand_components: principal poses of the left and the right hand as rotation vectors of the fifteen joints in the
            file's axes; none for a model without.
        hand_means: mean poses of both hands, zero where the file has none.
    """

    kind: Kind
    rig: Rig
    shape_space: LinearShapes
    vertices: BlendShapes
    joints: BlendShapes
    pose_directions: Float[Tensor, "d v 3"]
    joint_regressor: Float[Tensor, "j v"]
    hand_components: Float[Tensor, "2 n 45"]
    hand_means: Float[Tensor, "2 45"]

    @classmethod
    def from_file(cls, path: Path, dtype: torch.dtype, device: torch.device | str) -> "SmplBody":
        """Read a file of ``add_body``. Raises FileNotFoundError when it is missing, ValueError when it is damaged."""
        kind, tensors = _read(path)
        tensors = {
            name: tensor.to(device, dtype if tensor.is_floating_point() else torch.int64)
            for name, tensor in tensors.items()
        }
        names = _shape_names(kind, len(tensors["vertex_directions"]))
        reach = torch.full((len(names),), REACH, dtype=dtype, device=device)
        return cls(
            kind=kind,
            rig=Rig(
                joint_names=JOINT_NAMES[kind],
                parents=parents_of(kind),
                **{name: tensors[name] for name in ("bone_ids", "bone_weights", "faces", "uv", "uv_faces")},
            ),
            shape_space=LinearShapes(names=names, low=-reach, high=reach),
            vertices=BlendShapes(base=tensors["vertices"], directions=tensors["vertex_directions"]),
            joints=BlendShapes(base=tensors["joints"], directions=tensors["joint_directions"]),
            **{name: tensors[name] for name in ("pose_directions", "joint_regressor", "hand_components", "hand_means")},
        )

    @property
    def joint_names(self) -> tuple[str, ...]:
        """Names of the joints, in order."""
        return self.rig.joint_names

    @property
    def parents(self) -> tuple[int, ...]:
        """Index of each joint's parent, -1 for the root."""
        return self.rig.parents

    @property
    def shape_names(self) -> tuple[str, ...]:
        """Names of the shape parameters of ``default_shape``; ``shaped`` takes any of ``shape_space``."""
        return self.shape_space.names[:NUM_BETAS]

    @property
    def part_names(self) -> tuple[str, ...]:
        """Regions of the surface, named as Anny's are."""
        return ("body", "head", "hand.L", "hand.R", "foot.L", "foot.R")

    @cached_property
    def face_parts(self) -> Int[Tensor, " t"]:
        """Index into ``part_names`` of every triangle: the part of the joint that moves its first vertex most."""
        parts = [self.part_names.index(_part(name)) for name in self.joint_names]
        faces, strongest = self.rig.faces, self.rig.bone_ids[:, 0]
        return torch.tensor(parts, device=faces.device)[strongest[faces[:, 0]]]

    @property
    def keypoint_names(self) -> tuple[str, ...]:
        """The keypoints of COCO that are joints."""
        return _KEYPOINTS

    @property
    def keypoint_weights(self) -> Float[Tensor, "k v"]:
        """How much each vertex at rest counts for each keypoint."""
        return self.joint_regressor[[self.joint_names.index(name) for name in _KEYPOINTS]]

    def default_shape(self) -> Shape:
        """The mean person: ten betas of zero, or as many as there are."""
        return Shape(names=self.shape_names, values=torch.zeros_like(self.shape_space.low[:NUM_BETAS]))

    def shape(self, betas: Float[Tensor, " b"], expression: Float[Tensor, " e"] | None = None) -> Shape:
        """The shape of any number of betas and coefficients of expression."""
        expression = betas[:0] if expression is None else expression
        names = [f"beta_{row}" for row in range(len(betas))] + [f"expression_{row}" for row in range(len(expression))]
        return Shape(names=tuple(names), values=torch.cat([betas, expression]))

    def joints_rest(self, shape: Shape) -> Float[Tensor, "j 3"]:
        """The joints of the person of ``shape`` at rest, metres. Raises ValueError as ``shaped`` does."""
        return self.joints.of(self.shape_space.rows(shape))(shape.values.to(self.joints.base))

    def shaped(self, shape: Shape) -> ShapedBody:
        """The person of ``shape`` at rest. Raises ValueError when the model lacks one of the shape's names."""
        vertices = self.vertices.of(self.shape_space.rows(shape))(shape.values.to(self.vertices.base))
        return ShapedBody(
            rig=self.rig,
            rest=Mesh(vertices=vertices, faces=self.rig.faces, uv=self.rig.uv, uv_faces=self.rig.uv_faces),
            joints_rest=self.joints_rest(shape),
            pose_directions=self.pose_directions,
        )

    def __call__(self, shape: Shape, pose: Pose) -> Body:
        """The person of ``shape`` in ``pose``; with a constant shape, keep ``shaped(shape)`` and call its ``posed``."""
        return self.shaped(shape).posed(pose)

    def rest_pose(self) -> Pose:
        """The pose that leaves the person of the default shape where it is at rest."""
        return self.shaped(self.default_shape()).rest_pose()


def _read(path: Path) -> tuple[Kind, dict[str, Tensor]]:
    if not path.is_file():
        raise FileNotFoundError(
            f"{path}: the body model {path.stem} is not here; bring your own file: avatar assets add-body FILE; or fit "
            "the body that is always here to the pictures: avatar prepare"
        )
    try:
        with safe_open(path, framework="pt") as file:
            about = json.loads((file.metadata() or {}).get("avatar", "{}"))
            names = file.keys()
            tensors = {name: file.get_tensor(name) for name in names}
    except (SafetensorError, ValueError) as error:
        raise ValueError(f"{path}: damaged: {error}; bring it again: avatar assets add-body FILE") from error
    if about.get("format") != FORMAT:
        raise ValueError(f"{path}: expected {FORMAT!r}, got {about.get('format')!r}; bring it again with add-body")
    return about["kind"], tensors


def _shape_names(kind: Kind, count: int) -> tuple[str, ...]:
    """Betas first; in SMPL-X the expressions come after ten of them, or after 300 where there are 400 directions."""
    betas = count
    if kind == "smplx":
        betas = 300 if count >= 400 else min(NUM_BETAS, count)
    return tuple([f"beta_{row}" for row in range(betas)] + [f"expression_{row}" for row in range(count - betas)])


def _part(joint: str) -> str:
    part = next((part for part, names in _PARTS.items() if joint.rstrip("123").endswith(names)), "body")
    return part if part in ("head", "body") else f"{part}.{joint[0].upper()}"
