"""Avatar: body, canonical scene and deformation in the one module that users hold."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Float
from torch import Tensor, nn

from avatar.body import load_body, spread_pose
from avatar.canonical import CanonicalField, FieldConfig, Hybrid, HybridConfig, clothed_surface
from avatar.deform import (
    DeformConfig,
    Deformer,
    FieldCodes,
    FieldCodesConfig,
    FieldDeformConfig,
    FieldDeformer,
    LightField,
    LightFieldConfig,
    RefineConfig,
    Refinement,
    band_grid,
)
from avatar.engine import MeshTree
from avatar.geometry import SH_C0
from avatar.render import Exposure
from avatar.structs import Body, Gaussians, Mesh, Pose, RadianceField, Rendering, Shape, map_tensors

_MOST_FRAMES = 2**24  # whole numbers that single precision tells apart


class Avatar(nn.Module):
    """One person. Rendering it takes three steps, which every tool repeats::

        body = avatar.body(avatar.shape, frame.pose)
        scene = avatar.deform(avatar.canonical(), body)
        image = render(scene, frame.camera)

    A ``HybridAvatar`` is made of Gaussians on a mesh, a ``FieldAvatar`` is a radiance field.

    Attributes:
        rig: the skeleton of all its poses; ``avatar.body.load_body`` knows it.
        shape: the person's body shape.
        poses: captured poses of the training frames, whose statistics and corrections the avatar has learnt.
        frame_ids: which frames of the capture these are.
        cameras: names of the training cameras, whose place and exposure the avatar may have learnt.

    Making one raises ValueError for an unknown rig, and for a shape or poses that are not the rig's.
    """

    def __init__(
        self,
        *,
        shape: Shape,
        poses: Pose,
        frame_ids: Sequence[int],
        rig: str,
        cameras: Sequence[str],
        refine: RefineConfig,
    ) -> None:
        super().__init__()
        self.rig, self.shape, self.poses, self.frame_ids, self.refine = rig, shape, poses, tuple(frame_ids), refine
        self.cameras = tuple(cameras)
        self._shaped = load_body(rig).shaped(shape)
        joints = len(self._shaped.rig.parents)
        expected, found = (len(self.frame_ids), joints, 4), tuple(poses.local_quats.shape)
        if found != expected:
            raise ValueError(f"poses.local_quats: expected {expected}, one pose for each of frame_ids, got {found}")
        if len(set(self.frame_ids)) < found[0] or not all(0 <= frame < _MOST_FRAMES for frame in self.frame_ids):
            raise ValueError(f"frame_ids: expected different numbers from 0 to {_MOST_FRAMES - 1}, got others")
        self.refinement = Refinement(poses, self.frame_ids, self.cameras, refine)
        self.exposure = Exposure(self.cameras) if refine.exposure else None

    @property
    def template(self) -> Mesh:
        """The naked body at rest."""
        return self._shaped.rest

    @property
    def device(self) -> torch.device:
        """Where it is, and where the poses that it takes must be."""
        return self.template.vertices.device

    def body(self, shape: Shape, pose: Pose, camera: str | None = None) -> Body:
        """The body of ``shape`` in ``pose``, with what was learnt of pose, joints and the ``camera`` of this name."""
        shaped = self._shaped
        if shape is not self.shape:
            joints = shaped.joints_rest
            shaped = load_body(self.rig, joints.dtype, joints.device).shaped(shape)
        shaped = replace(shaped, joints_rest=self.refinement.joints_rest(shaped.joints_rest))
        return self.refinement.seen(shaped.posed(self.refinement.pose(pose)), camera)

    def exposed(self, image: Rendering, camera: str | None) -> Rendering:
        """The rendering as the ``camera`` of this name would take it, over black."""
        return image if self.exposure is None else self.exposure(image, camera)

    def correction_cost(self) -> Float[Tensor, ""] | float:
        """What the corrections of the capture cost, in the units of the loss."""
        exposure = 0.0 if self.exposure is None else self.exposure.surprise(self.refine.exposure_log)
        return self.refine.prior * (self.refinement.surprise() + exposure)

    def posed(self, pose: Pose, camera: str | None = None) -> Gaussians | RadianceField:
        """The avatar in ``pose``, in the world, where the ``camera`` of this name sees it."""
        raise NotImplementedError

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "Avatar":
        """What ``to`` calls for every parameter: the records that the avatar holds go along."""
        super()._apply(fn, recurse)
        self.shape, self.poses = map_tensors(self.shape, fn), map_tensors(self.poses, fn)
        self._shaped = map_tensors(self._shaped, fn)
        return self


@dataclass(frozen=True, kw_only=True)
class HybridAvatarConfig:
    """What an avatar of Gaussians is made of.

    Attributes:
        canonical: the scene in the canonical pose.
        deform: how it follows the body.
        refine: which parts of the capture are corrected by the pictures.
    """

    canonical: HybridConfig = field(default_factory=HybridConfig)
    deform: DeformConfig = field(default_factory=DeformConfig)
    refine: RefineConfig = field(default_factory=RefineConfig)


class HybridAvatar(Avatar):
    """Gaussians on the triangles of the body's template, at rest in the canonical frame: fast, and moves in any way."""

    def __init__(
        self,
        *,
        shape: Shape,
        poses: Pose,
        frame_ids: Sequence[int],
        config: HybridAvatarConfig,
        rig: str = "anny",
        cameras: Sequence[str] = (),
        seed: int = 0,
    ) -> None:
        super().__init__(shape=shape, poses=poses, frame_ids=frame_ids, rig=rig, cameras=cameras, refine=config.refine)
        self.config = config
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.deform = Deformer(self.template, poses, self.frame_ids, config.deform)
        self.canonical = Hybrid(self.template, config.canonical, seed)

    def correction_cost(self) -> Float[Tensor, ""] | float:
        """What the corrections of the capture and the light cost, in the units of the loss."""
        return super().correction_cost() + self.deform.cost()

    def posed(self, pose: Pose, camera: str | None = None) -> Gaussians:
        """The avatar in ``pose``, in the world, where the ``camera`` of this name sees it."""
        scene = self.deform(self.canonical(), self.body(self.shape, pose, camera))
        assert isinstance(scene, Gaussians)
        return scene

    @torch.no_grad()
    def clothed_mesh(
        self, pose: Pose | None = None, surface: Gaussians | None = None, camera: str | None = None
    ) -> Mesh:
        """The template in clothes and hair, coloured, with the body's own vertices: in the world, or canonical.

        Give ``surface``, which is ``clothed_surface(avatar.canonical)``, to save its time where many poses are wanted;
        ``camera`` as for ``body``.
        """
        surface = surface or clothed_surface(self.canonical)
        if pose is not None:
            posed = self.deform(surface, self.body(self.shape, pose, camera))
            assert isinstance(posed, Gaussians)
            surface = posed
        colors = (surface.sh[:, 0] * SH_C0 + 0.5).clamp(0, 1)
        return Mesh(vertices=surface.means, faces=self.template.faces, colors=colors)


@dataclass(frozen=True, kw_only=True)
class FieldAvatarConfig:
    """What an avatar that is a radiance field is made of.

    Attributes:
        canonical: the field in the canonical pose.
        deform: how places in the world find theirs in the canonical frame.
        light: what multiplies the field's colours, in the world; None for nothing.
        codes: what the field is told of the moment, ``canonical.num_codes`` numbers; None for nothing.
    """

    canonical: FieldConfig = field(default_factory=FieldConfig)
    deform: FieldDeformConfig = field(default_factory=FieldDeformConfig)
    light: LightFieldConfig | None = None
    codes: FieldCodesConfig | None = None

    def __post_init__(self) -> None:
        expected, found = self.codes.size if self.codes else 0, self.canonical.num_codes
        if found != expected:
            raise ValueError(f"FieldAvatarConfig.canonical.num_codes: expected {expected}, as codes has, got {found}")


class FieldAvatar(Avatar):
    """A radiance field around the body in a canonical pose of legs apart, warped there from the world.

    Attributes:
        canonical_shape: of the body in the canonical frame: the person's own, or that of whom a prior was learnt from.
    """

    def __init__(
        self,
        *,
        shape: Shape,
        poses: Pose,
        frame_ids: Sequence[int],
        config: FieldAvatarConfig,
        rig: str = "anny",
        cameras: Sequence[str] = (),
        canonical_shape: Shape | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(shape=shape, poses=poses, frame_ids=frame_ids, rig=rig, cameras=cameras, refine=RefineConfig())
        self.config, self.canonical_shape = config, canonical_shape or shape
        shaped = load_body(rig).shaped(self.canonical_shape)
        body = shaped.posed(spread_pose(shaped))
        band = band_grid(MeshTree(body.rest.faces, body.vertices_world), config.deform.cell_m, config.deform.reach_m)
        self.deform = FieldDeformer(body, config.deform)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.canonical = CanonicalField(band, config.canonical)
            self.deform.light = LightField(poses, config.light) if config.light else None
            self.deform.code = FieldCodes(poses, self.frame_ids, config.codes) if config.codes else None

    def correction_cost(self) -> Float[Tensor, ""] | float:
        """What the light costs, in the units of the loss."""
        return super().correction_cost() + self.deform.cost()

    def posed(self, pose: Pose, camera: str | None = None) -> RadianceField:
        """The avatar in ``pose``, in the world, where the ``camera`` of this name sees it."""
        scene = self.deform(self.canonical(), self.body(self.shape, pose, camera))
        assert isinstance(scene, RadianceField)
        return scene


AnyAvatar = HybridAvatar | FieldAvatar
