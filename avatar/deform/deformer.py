"""Canonical scene and body to the scene in the world."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Float
from torch import Tensor, nn

from avatar.engine import Covariance, Skinnable, relight
from avatar.geometry import scale_colors
from avatar.structs import Binding, Body, Gaussians, Mesh, Pose

from .control_graph import ControlGraph, ControlGraphConfig
from .correctives import Correctives, CorrectivesConfig
from .light_field import LightField, LightFieldConfig
from .normal_light import NormalLight, NormalLightConfig
from .skinning import LearnedMix, Linear, Skinning, SkinWeights, skin, skin_mesh

Light = NormalLightConfig | LightFieldConfig


@dataclass(frozen=True, kw_only=True)
class DeformConfig:
    """How the scene follows the body.

    Attributes:
        skinning: linear, dual-quaternion, or a blend of both, which may be learnt.
        covariance: whether Gaussians only turn, or are sheared and stretched by the motion's Jacobian too.
        graph: low-frequency motion of a few hundred nodes, by the same coefficients as ``correctives``; or None.
        correctives: pose-dependent offset and colour.
        light: how colour follows the posed normal, and the place; or None for not at all.
    """

    skinning: Skinning = field(default_factory=Linear)
    covariance: Covariance = "rotation"
    graph: ControlGraphConfig | None = None
    correctives: CorrectivesConfig = field(default_factory=CorrectivesConfig)
    light: Light | None = None

    def __post_init__(self) -> None:
        if self.graph is not None and self.correctives.num_modes == 0:
            raise ValueError("DeformConfig.graph: expected correctives.num_modes above 0, which move it, got 0")
        if isinstance(self.light, LightFieldConfig) and self.light.sees_directions:
            raise ValueError("DeformConfig.light.sees_directions: expected False, Gaussians meet no rays, got True")


class Deformer(nn.Module):
    """Owns what was learnt about motion; calling it takes a canonical scene to the pose of a body.

    Attributes:
        mix_logits: of every template vertex's fraction of dual-quaternion skinning, where that is learnt.
    """

    def __init__(self, template: Mesh, poses: Pose, frame_ids: Sequence[int], config: DeformConfig) -> None:
        super().__init__()
        self.config = config
        has_modes = config.correctives.num_modes > 0
        self.correctives = Correctives(template, poses, frame_ids, config.correctives) if has_modes else None
        self.graph = ControlGraph(template, config.correctives.num_modes, config.graph) if config.graph else None
        self.light = _light(poses, config.light)
        self.mix_logits = None
        if isinstance(config.skinning, LearnedMix):
            start = torch.tensor(config.skinning.initial_dqs_fraction).logit()
            self.mix_logits = nn.Parameter(start.repeat(len(template.vertices)))
        self._weights: tuple[Binding, SkinWeights] | None = None

    def forward(self, scene: Gaussians | Mesh, body: Body) -> Gaussians | Mesh:
        """The scene in the pose of ``body``, world metres. ValueError for Gaussians bound to no mesh."""
        match scene:
            case Mesh():
                mix = self.mix_logits
                return skin_mesh(scene, body, self.config.skinning if mix is None else mix.sigmoid())
            case Gaussians():
                return self._gaussians(scene, body)

    def cost(self) -> Float[Tensor, ""] | float:
        """What the deformation itself costs, in the units of the loss: a light that is too bright or too dark."""
        return self.light.cost() if isinstance(self.light, LightField) else 0.0

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "Deformer":
        self._weights = None
        return super()._apply(fn, recurse)

    def _gaussians(self, gaussians: Gaussians, body: Body) -> Gaussians:
        binding = gaussians.binding
        if binding is None:
            raise ValueError("Deformer: expected Gaussians bound to a mesh, got free ones")
        means, linear, extra = gaussians.means, gaussians.linear, None
        if self.correctives is not None:
            if self.graph is not None:
                motion = self.graph(gaussians, self.correctives.coefficients(body.pose))
                means, linear = motion.means, motion.linear
            means, extra = self.correctives(body.pose, binding, means)
        rest = Skinnable(means, gaussians.quats, binding.normals, linear)
        mix = self.mix_logits
        skinning = self.config.skinning if mix is None else binding.from_vertices(mix[:, None])[:, 0].sigmoid()
        posed = skin(rest, self._skin_weights(binding, body), body, skinning, self.config.covariance)
        sh = self._lit(gaussians.sh, extra, posed, body.pose)
        return replace(gaussians, means=posed.points, quats=posed.quats, sh=sh, linear=posed.linear)

    def _lit(
        self, sh: Float[Tensor, "n k 3"], added: Float[Tensor, "n 3"] | None, posed: Skinnable, pose: Pose
    ) -> Float[Tensor, "n k 3"]:
        match self.light:
            case NormalLight():
                return self.light(sh, added, posed.normals)
            case LightField():
                points = posed.points + self.light.shift(pose.root_position_world)
                gain = self.light(posed.normals, points.detach())
                return scale_colors(relight(sh, added, posed.normals, None), gain)
            case None:
                return relight(sh, added, posed.normals, None)

    def _skin_weights(self, binding: Binding, body: Body) -> SkinWeights:
        if self._weights is None or self._weights[0] is not binding:
            self._weights = (binding, SkinWeights.of_binding(binding, body))
        return self._weights[1]


def _light(poses: Pose, config: Light | None) -> NormalLight | LightField | None:
    match config:
        case NormalLightConfig():
            return NormalLight()
        case LightFieldConfig():
            return LightField(poses, config)
        case None:
            return None
