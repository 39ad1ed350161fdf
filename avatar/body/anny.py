"""Anny: a free parametric body from newborn to old age.

Source: Brégier et al., "Human Mesh Modeling for Anny Body", 2025 (arXiv:2511.03589), release 0.6.2. The data file is
our own arrangement of it; ``tools/bake_body.py`` writes the file and proves that both agree.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import torch
from jaxtyping import Float, Int
from torch import Tensor

from avatar.geometry import matrices_from_quats, nearest_rotations, quats_from_matrices
from avatar.structs import Body, Mesh, Pose, Shape

from .data_file import DataFile
from .rig import Rig, ShapedBody
from .shape_space import BlendShapes, ShapeSpace

DATA_FILE = Path(__file__).with_name("anny.npz")
"""The baked model on its own skeleton."""


@dataclass(frozen=True, kw_only=True, eq=False)
class AnnyBody:
    """The Anny model: 13,718 vertices, 104 joints or those of another rig, six shape parameters.

    Model frame: metres, z up, the rest pose faces -y with its left towards +x; the arms hang at 45 degrees and the
    origin is near the pelvis. Triangles inside the mouth are left out, so some vertices belong to none.

    Attributes:
        rig: skeleton, skin weights, triangles.
        shape_space: the parameters gender (0 male, 1 female), age (-1/3 newborn, 0 baby, 1/3 child, 2/3 young, 1 old),
            muscle, weight, height, proportions; all but age in [0, 1].
        vertices, joints: rest positions by shape, metres.
        turns: by shape, a matrix a joint whose nearest rotation leads from Anny's reference orientation to rest; None
            for a rig without reference orientations.
        face_parts: index into ``part_names`` of every triangle.
        part_names: regions of the surface.
        keypoint_weights: how much each vertex counts for each keypoint; rows sum to one.
        keypoint_names: the 17 of COCO, then big toe, small toe and heel of both feet.
    """

    rig: Rig
    shape_space: ShapeSpace
    vertices: BlendShapes
    joints: BlendShapes
    turns: BlendShapes | None
    face_parts: Int[Tensor, " t"]
    part_names: tuple[str, ...]
    keypoint_weights: Float[Tensor, "k v"]
    keypoint_names: tuple[str, ...]

    @classmethod
    def from_file(cls, path: Path, dtype: torch.dtype, device: torch.device | str) -> "AnnyBody":
        """Read a baked model. Raises FileNotFoundError when it is missing."""
        file = DataFile.read(path, dtype, device)
        names, ids, real = file.names, file.ids, file.real
        return cls(
            rig=file.rig(faces=ids("faces"), uv=real("uv"), uv_faces=ids("uv_faces")),
            shape_space=ShapeSpace(
                names=names("shape_names"), low=real("shape_low"), high=real("shape_high"), grid=real("shape_grid")
            ),
            vertices=BlendShapes(
                base=real("vertices"), directions=real("vertex_directions_um").mT.contiguous().mul_(1e-6)
            ),
            joints=BlendShapes(base=real("joints"), directions=real("joint_directions")),
            turns=BlendShapes(base=real("turns"), directions=real("turn_directions")),
            face_parts=ids("face_parts"),
            part_names=names("part_names"),
            keypoint_weights=real("keypoint_weights"),
            keypoint_names=names("keypoint_names"),
        )

    def with_rig(self, path: Path) -> "AnnyBody":
        """The same people on the skeleton in a baked file. Raises FileNotFoundError when it is missing."""
        file = DataFile.read(path, self.vertices.base.dtype, self.vertices.base.device)
        return replace(
            self,
            rig=file.rig(faces=self.rig.faces, uv=self.rig.uv, uv_faces=self.rig.uv_faces),
            joints=BlendShapes(base=file.real("joints"), directions=file.real("joint_directions")),
            turns=None,
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
        """Names of the shape parameters, in order."""
        return self.shape_space.names

    def default_shape(self) -> Shape:
        """The middle of every range: 0.5, which is a young adult half way between the sexes."""
        return Shape(names=self.shape_names, values=torch.full_like(self.shape_space.low, 0.5))

    def shaped(self, shape: Shape) -> ShapedBody:
        """The person of ``shape`` at rest. Raises ValueError when the shape's names are not the model's."""
        coefficients = self.shape_space.coefficients(shape)
        rest = Mesh(
            vertices=self.vertices(coefficients), faces=self.rig.faces, uv=self.rig.uv, uv_faces=self.rig.uv_faces
        )
        return ShapedBody(rig=self.rig, rest=rest, joints_rest=self.joints(coefficients))

    def __call__(self, shape: Shape, pose: Pose) -> Body:
        """The person of ``shape`` in ``pose``; with a constant shape, keep ``shaped(shape)`` and call its ``posed``."""
        return self.shaped(shape).posed(pose)

    def rest_pose(self) -> Pose:
        """The pose that leaves the person of the default shape where it is at rest."""
        return self.shaped(self.default_shape()).rest_pose()

    def keypoints_coco(self, body: Body) -> Float[Tensor, "k 3"]:
        """The 23 keypoints of a posed body, in the order of ``keypoint_names``, metres."""
        return self.keypoint_weights @ body.vertices_world

    def pose_from_local_ref(self, local_ref: Float[Tensor, "*f j 4 4"], shape: Shape) -> Pose:
        """Our pose from Anny's ``local-ref`` pose parameters of a person of ``shape``.

        Anny measures rotations ``D_j`` from its reference pose, we from the rest pose of the shape. With ``F_j`` the
        rotation from reference to rest, ``R_j = F_parent D_j F_j^T``. Raises ValueError when a joint but the root moves
        against its parent by more than 0.1 mm, which a pose of rotations cannot say.
        """
        drift_mm = float(local_ref[..., 1:, :3, 3].detach().abs().max()) * 1e3
        if not drift_mm <= 0.1:
            raise ValueError(f"local_ref: expected translations of the root joint only, found one of {drift_mm:.3g} mm")
        parent_turns, turns = self._turns(shape)
        rotations = parent_turns @ local_ref[..., :3, :3] @ turns.mT
        return Pose(local_quats=quats_from_matrices(rotations), root_position_world=local_ref[..., 0, :3, 3])

    def local_ref_from_pose(self, pose: Pose, shape: Shape) -> Float[Tensor, "*f j 4 4"]:
        """The inverse of ``pose_from_local_ref``: what ``anny.Anny`` takes as ``pose_parameters``."""
        parent_turns, turns = self._turns(shape)
        rotations = parent_turns.mT @ matrices_from_quats(pose.local_quats) @ turns
        local_ref = torch.eye(4).to(rotations).repeat(*rotations.shape[:-2], 1, 1)
        local_ref[..., :3, :3] = rotations
        local_ref[..., 0, :3, 3] = pose.root_position_world
        return local_ref

    def _turns(self, shape: Shape) -> tuple[Float[Tensor, "j 3 3"], Float[Tensor, "j 3 3"]]:
        """Rotations from Anny's reference orientations to rest, of every joint's parent and of the joint itself."""
        if self.turns is None:
            raise ValueError("local_ref: expected poses of Anny's own rig, found a body on another; call load_body()")
        turns = nearest_rotations(self.turns(self.shape_space.coefficients(shape)))
        root = torch.eye(3).to(turns)[None]
        turns = torch.cat([root, turns[1:]])
        return torch.cat([root, turns[list(self.parents[1:])]]), turns


def rig_file(rig: str) -> Path:
    """Where a skeleton other than the model's own is."""
    return DATA_FILE.with_name(f"anny_{rig}.npz")
