"""What a camera sees of a scene."""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True, kw_only=True, eq=False)
class Rendering:
    """An image and what belongs to it.

    Attributes:
        color: sRGB, not clamped; premultiplied by ``alpha`` over the background the renderer was given.
        alpha: coverage in [0, 1].
        depth: alpha-weighted distance along the optical axis, metres, or None where it was not asked for.
    """

    color: Float[Tensor, "h w 3"]
    alpha: Float[Tensor, "h w"]
    depth: Float[Tensor, "h w"] | None = None

    def expected_depth(self) -> Float[Tensor, "h w"]:
        """Distance along the optical axis of what is seen, metres; zero where nothing is."""
        if self.depth is None:
            raise ValueError("Rendering.expected_depth: rendered without depth; pass RenderConfig(depth=True)")
        return self.depth / self.alpha.clamp(min=1e-10)
