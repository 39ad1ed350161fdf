"""What no training picture shows is told by what they do show, not learnt.

Gaussians that no camera sees still pull a little on the picture, through those before them, and would take any colour.
They get no gradient, and now and then take the look of seen ones at the like place: the other half of the body, the
other side of the same limb; on the head, where front and back differ, the nearest.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from scipy.spatial import KDTree
from torch import Tensor

from avatar.body import ShapedBody, load_body
from avatar.canonical import Hybrid
from avatar.canonical.hybrid import PER_GAUSSIAN
from avatar.geometry import dense_weights, interpolate
from avatar.model import HybridAvatar
from avatar.render import visible_cosines
from avatar.structs import Body, Capture, Split

_PICTURES = 64  # enough to tell which skin a split shows
_RASTER_SCALE = 0.5
_DONORS = 16
_DEPTH, _HEIGHT = 0.3, 4.0  # how much distance counts from front to back, and from top to bottom: stripes stay level
_PART_M = 0.1  # distance between one joint's skin and another's
_OPAQUE = 2.0  # least logit of opacity of what was completed: nobody is to look through


@dataclass(frozen=True, kw_only=True)
class UnseenConfig:
    """When and what is completed.

    Attributes:
        min_share: skin that cameras show in a smaller share of the training frames is unseen; 0 for learning all.
        rounds: fractions of the run at which the unseen takes the look of the seen, ascending.
    """

    min_share: float = 0.05
    rounds: tuple[float, ...] = (0.1, 0.3, 0.6, 0.95)

    def __post_init__(self) -> None:
        if not 0 <= self.min_share <= 1:
            raise ValueError(f"UnseenConfig.min_share: expected 0 to 1, got {self.min_share}")
        if any(not 0 <= at <= 1 for at in self.rounds) or list(self.rounds) != sorted(self.rounds):
            raise ValueError(f"UnseenConfig.rounds: expected ascending fractions, got {self.rounds}")

    def rounds_due(self, fraction: float) -> int:
        """How many rounds should have happened by ``fraction`` of the run."""
        return sum(fraction >= at for at in self.rounds)


class Unseen:
    """Knows which vertices of the template the pictures of a split show."""

    def __init__(self, avatar: HybridAvatar, capture: Capture, split: Split, config: UnseenConfig) -> None:
        shaped = load_body(avatar.rig).shaped(capture.shape)  # as captured: corrections change from step to step
        is_seen = _shares(shaped, capture, split) >= config.min_share
        if not is_seen.any():
            raise ValueError(f"split {split.name!r}: no camera sees the body; check poses and calibration")
        self._is_seen = is_seen.to(avatar.device)
        self._places = _places(shaped.posed(shaped.rest_pose())).to(avatar.device)
        self._sees_all = bool(is_seen.all())
        self._of: tuple[Tensor, Tensor, Tensor] | None = None
        self._blind_control: Int[Tensor, " m"] | None = None

    def seen(self, canonical: Hybrid) -> Bool[Tensor, " n"]:
        """Of each Gaussian, whether most of its triangle is seen."""
        return self._rows(canonical)[0]

    def hold(self, avatar: HybridAvatar) -> None:
        """Take the gradients from unseen Gaussians, and those of colour from pose-dependent modes on unseen skin."""
        if self._sees_all:
            return
        _, unseen = self._rows(avatar.canonical)
        for name in PER_GAUSSIAN:
            gradient = getattr(avatar.canonical, name).grad
            if gradient is not None:
                gradient.index_fill_(0, unseen, 0.0)
        correctives = avatar.deform.correctives
        if correctives is not None and correctives.modes.grad is not None:
            if self._blind_control is None:
                vertices = avatar.template.vertices
                is_seen = self._is_seen[torch.cdist(correctives.control_points, vertices).argmin(1)]
                self._blind_control = (~is_seen).nonzero()[:, 0]
            correctives.modes.grad[..., 3:].index_fill_(1, self._blind_control, 0.0)

    @torch.no_grad()
    def complete(self, canonical: Hybrid) -> None:
        """Give unseen Gaussians the median colour, size, opacity and distance from the surface of their donors."""
        unseen, donors = self._donors(canonical)
        if not len(unseen):
            return
        for name in ("colors", "opacity_logits", "log_scales", "offsets"):
            values = getattr(canonical, name)
            values[unseen] = values[donors].median(1).values
        canonical.sh_rest[unseen] = 0.0  # nobody knows how it changes with the view
        canonical.opacity_logits[unseen] = canonical.opacity_logits[unseen].clamp(min=_OPAQUE)
        canonical.offsets[unseen, :2] = 0.0
        canonical.log_scales[unseen, :2] = canonical.log_scales[unseen, :2].mean(1, keepdim=True)
        canonical.quats[unseen] = canonical.quats.new_tensor([1.0, 0.0, 0.0, 0.0])

    def _rows(self, canonical: Hybrid) -> tuple[Bool[Tensor, " n"], Int[Tensor, " u"]]:
        """Which Gaussians are seen, and the rows of the others; looked up again when Gaussians change their place."""
        if self._of is None or self._of[0] is not canonical.triangles:
            corners = canonical.template.faces[canonical.triangles]
            is_seen = self._is_seen[corners].sum(1) >= 2
            self._of = (canonical.triangles, is_seen, (~is_seen).nonzero()[:, 0])
        return self._of[1:]

    def _donors(self, canonical: Hybrid) -> tuple[Int[Tensor, " u"], Int[Tensor, "u d"]]:
        """The unseen Gaussians, and for each the seen ones at the places most like its own."""
        is_seen, unseen = self._rows(canonical)
        seen = is_seen.nonzero()[:, 0]
        if not len(seen):
            return unseen[:0], unseen[:0, None]
        corners = canonical.template.faces[canonical.triangles]
        places = interpolate(self._places, corners, canonical.barycentrics).cpu().numpy()
        tree = KDTree(places[seen.cpu().numpy()])
        count = min(_DONORS, len(seen))
        _, nearest = tree.query(places[unseen.cpu().numpy()], k=count)
        return unseen, seen[torch.as_tensor(nearest, device=seen.device).view(-1, count)]


@torch.no_grad()
def _shares(shaped: ShapedBody, capture: Capture, split: Split) -> Float[Tensor, " v"]:
    """Share of the training frames, or of an even selection of them, in which a camera shows each naked vertex."""
    chosen = split.frame_ids[:: max(1, len(split) // _PICTURES)]
    cameras = [capture.cameras[camera_id].scaled(_RASTER_SCALE) for camera_id in split.camera_ids]
    count = torch.zeros(len(shaped.rest.vertices))
    for frame_id in chosen:
        vertices = shaped.posed(capture.pose(frame_id)).vertices_world
        looks = [visible_cosines(vertices, shaped.rest.faces, camera) > 0 for camera in cameras]
        count += torch.stack(looks).any(0)
    return count / len(chosen)


def _places(body: Body) -> Float[Tensor, "v d"]:
    """Coordinates in which like places of the body are near: halves mirrored, front and back close, parts apart."""
    joints, vertices = body.joints_rest, body.rest.vertices
    mirrored = torch.cdist(joints * joints.new_tensor([-1.0, 1.0, 1.0]), joints).argmin(1)
    weights = dense_weights(body.bone_ids, body.bone_weights, len(joints))
    part = torch.minimum(torch.arange(len(joints)), mirrored)[weights.argmax(1)]
    x, y, z = vertices.unbind(1)
    is_head = part == part[z.argmax()]
    places = torch.stack([x.abs(), y * _DEPTH, z * _HEIGHT], 1).where(~is_head[:, None], vertices)
    return torch.cat([places, torch.nn.functional.one_hot(part, len(joints)) * _PART_M], 1)
