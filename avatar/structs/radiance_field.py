"""A radiance field: what is seen at places along rays, as functions."""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace

from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import normalize

from avatar.engine import OccupancyGrid


@dataclass(frozen=True, kw_only=True, eq=False)
class Warped:
    """Places taken to the canonical frame.

    Attributes:
        points: canonical, metres.
        linear: the derivative of ``points`` by the places they came from: a direction d becomes ``linear @ d``, the
            gradient g of a canonical function becomes ``linear.mT @ g``.
        is_valid: false where the body says nothing about a place; nothing is there.
    """

    points: Float[Tensor, "s 3"]
    linear: Float[Tensor, "s 3 3"]
    is_valid: Bool[Tensor, " s"]


@dataclass(frozen=True, kw_only=True, eq=False)
class RaySamples:
    """Places where a field is asked, in the frame of its rays: the world, or the canonical frame.

    Attributes:
        points: metres.
        directions: unit, from the camera on.
        lengths: of the intervals around the points, metres.
        warped: where they are in the canonical frame; None where rays are canonical themselves.
        code: what else the canonical field is told of this moment, such as the pose; None for nothing.
    """

    points: Float[Tensor, "s 3"]
    directions: Float[Tensor, "s 3"]
    lengths: Float[Tensor, " s"]
    warped: Warped | None = None
    code: Float[Tensor, " d"] | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class FieldShape:
    """What is at each sample.

    Attributes:
        samples: where that is.
        alphas: how opaque the intervals are, 0 to 1.
        distances: to the surface, negative inside; metres for a distance field, else in its own unit.
        gradients: of ``distances``, in the frame of the rays; outwards.
        canonical_normals: unit, outwards, in the canonical frame.
        features: for the colour.
    """

    samples: RaySamples
    alphas: Float[Tensor, " s"]
    distances: Float[Tensor, " s"]
    gradients: Float[Tensor, "s 3"]
    canonical_normals: Float[Tensor, "s 3"]
    features: Float[Tensor, "s d"]

    @property
    def normals(self) -> Float[Tensor, "s 3"]:
        """Unit, outwards, in the frame of the rays."""
        return normalize(self.gradients, dim=-1)

    def keep(self, which: Bool[Tensor, " s"]) -> "FieldShape":
        """Only the samples where ``which`` is true."""
        return _rows(self, which)


def _rows(record, which: Tensor):
    """A record with the chosen rows of all its tensors; a ``code`` has none."""
    changed = {}
    for field in fields(record):
        value = getattr(record, field.name)
        if isinstance(value, Tensor) and field.name != "code":
            changed[field.name] = value[which]
        elif isinstance(value, RaySamples | Warped):
            changed[field.name] = _rows(value, which)
    return replace(record, **changed)


@dataclass(frozen=True, kw_only=True, eq=False)
class RayColors:
    """What rays see.

    Attributes:
        color: sRGB, premultiplied by ``alpha``.
        alpha: coverage in [0, 1].
        depth: sums of weighted distances along the rays, metres.
        shape: what the field said of the samples.
    """

    color: Float[Tensor, "r 3"]
    alpha: Float[Tensor, " r"]
    depth: Float[Tensor, " r"]
    shape: FieldShape


@dataclass(frozen=True, kw_only=True, eq=False)
class RadianceField:
    """A field as functions of places in the frame that the holder names: the renderer never knows what answers them.

    Attributes:
        shape: what is at samples.
        radiance: sRGB of what is there, for as many of the samples as one likes to keep.
        distance: signed distance alone, at points, and for a canonical field with a ``code`` or without; no gradient
            passes. Where nothing is known it is positive.
        grid: cells that may hold something; all else is empty.
        step_m: length of a sample's interval, metres.
    """

    shape: Callable[[RaySamples], FieldShape]
    radiance: Callable[[FieldShape], Float[Tensor, "s 3"]]
    distance: Callable[..., Float[Tensor, " s"]]
    grid: OccupancyGrid
    step_m: float
