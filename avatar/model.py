"""Avatar: body, canonical scene and deformation in the one module that users hold."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from avatar.body import load_body
from avatar.canonical import Hybrid, HybridConfig
from avatar.deform import DeformConfig, Deformer, PoseRefinement
from avatar.structs import Body, Gaussians, Mesh, Pose, Shape, map_tensors


@dataclass(frozen=True, kw_only=True)
class AvatarConfig:
    """What an avatar is made of.

    Attributes:
        canonical: the scene in the canonical pose.
        deform: how it follows the body.
        refine_poses: learn small corrections of the captured poses; good for seen frames, costs unseen ones.
    """

    canonical: HybridConfig = field(default_factory=HybridConfig)
    deform: DeformConfig = field(default_factory=DeformConfig)
    refine_poses: bool = False


class Avatar(nn.Module):
    """One person. Rendering it takes three steps, which every tool repeats::

        body = avatar.body(avatar.shape, frame.pose)
        scene = avatar.deform(avatar.canonical(), body)
        image = render(scene, frame.camera)

    Attributes:
        rig: the skeleton of all its poses; ``avatar.body.load_body`` knows it.
        shape: the person's body shape.
        poses: captured poses of the training frames, whose statistics and corrections the avatar has learnt.
        frame_ids: which frames of the capture these are.

    Making one raises ValueError for an unknown rig, and for a shape or poses that are not the rig's.
    """

    def __init__(
        self,
        *,
        shape: Shape,
        poses: Pose,
        frame_ids: Sequence[int],
        config: AvatarConfig,
        rig: str = "anny",
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.rig, self.shape, self.poses, self.frame_ids, self.config = rig, shape, poses, tuple(frame_ids), config
        self._shaped = load_body(rig).shaped(shape)
        joints = len(self._shaped.rig.parents)
        expected, found = (len(self.frame_ids), joints, 4), tuple(poses.local_quats.shape)
        if found != expected:
            raise ValueError(f"poses.local_quats: expected {expected}, one pose for each of frame_ids, got {found}")
        template = self._shaped.rest
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.deform = Deformer(template, poses, self.frame_ids, config.deform)
        self.canonical = Hybrid(template, config.canonical, seed)
        self.refinement = PoseRefinement(self.frame_ids, joints) if config.refine_poses else None

    @property
    def template(self) -> Mesh:
        """The naked body at rest, on whose triangles everything sits."""
        return self._shaped.rest

    @property
    def device(self) -> torch.device:
        """Where it is, and where the poses that it takes must be."""
        return self.template.vertices.device

    def body(self, shape: Shape, pose: Pose) -> Body:
        """The body of ``shape`` in ``pose``, which is corrected first if it is a training frame's."""
        if self.refinement is not None:
            pose = self.refinement(pose)
        if shape is self.shape:
            return self._shaped.posed(pose)
        joints = self._shaped.joints_rest
        return load_body(self.rig, joints.dtype, joints.device).shaped(shape).posed(pose)

    def posed(self, pose: Pose) -> Gaussians:
        """The avatar in ``pose``, in the world."""
        scene = self.deform(self.canonical(), self.body(self.shape, pose))
        assert isinstance(scene, Gaussians)
        return scene

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "Avatar":
        """What ``to`` calls for every parameter: the records that the avatar holds go along."""
        super()._apply(fn, recurse)
        self.shape, self.poses = map_tensors(self.shape, fn), map_tensors(self.poses, fn)
        self._shaped = map_tensors(self._shaped, fn)
        return self
