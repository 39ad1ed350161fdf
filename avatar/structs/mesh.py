"""A triangle mesh."""

from dataclasses import dataclass

from jaxtyping import Float, Int
from torch import Tensor


@dataclass(frozen=True, kw_only=True, eq=False)
class Mesh:
    """Triangles in space; counter-clockwise seen from outside.

    Attributes:
        vertices: metres, in the frame that the holder names.
        faces: three vertex indices a triangle.
        uv: texture coordinates in [0, 1], v upwards, or None.
        uv_faces: three indices into ``uv`` a triangle, or None.
        colors: sRGB in [0, 1], one a vertex, or None.
    """

    vertices: Float[Tensor, "v 3"]
    faces: Int[Tensor, "t 3"]
    uv: Float[Tensor, "u 2"] | None = None
    uv_faces: Int[Tensor, "t 3"] | None = None
    colors: Float[Tensor, "v 3"] | None = None
