"""The frozen records that travel between rooms, and the conventions they keep.

Conventions (the one table; every other module refers here)

===================  ==================================================================================
world                right-handed, +Z up, metres, seconds, radians
camera               OpenCV axes: x right, y down, z forward
pixel                the centre of pixel (0, 0) is (0.5, 0.5); ``x_px = K @ x_camera``
rotation             unit quaternions ``wxyz``; matrices act on column vectors
transform            named ``target_from_source``: ``camera_from_world``, ``posed_from_rest``
points               carry their frame in the name: ``points_world``, ``vertices_rest``
images               ``h w c``, float in [0, 1], sRGB unless the name says ``linear``
masks                say what true means: ``is_foreground``
stored forms         in the name: ``log_scales``, ``opacity_logits``
units                in the name where not the default: ``focal_px``, ``time_ms``
===================  ==================================================================================

Shape letters: ``b`` batch, ``f`` frames, ``c`` cameras, ``j`` joints, ``v`` vertices, ``t`` triangles, ``n`` points or
Gaussians, ``k`` harmonics or influences, ``h w`` image, ``r`` rays, ``s`` samples, ``d`` features, ``p`` shape values.
"""

from .body import Body, Pose, Shape
from .camera import Box, Camera
from .capture import Capture, Split
from .clip import Clip, Skeleton
from .frame import Frame
from .gaussians import Binding, Gaussians
from .mesh import Mesh
from .motion import Motion, facing
from .moving import map_tensors
from .radiance_field import FieldShape, RadianceField, RayColors, RaySamples, Warped
from .rendering import Rendering

Scene = Gaussians | Mesh | RadianceField

__all__ = [
    "Binding",
    "Body",
    "Box",
    "Camera",
    "Capture",
    "Clip",
    "FieldShape",
    "Frame",
    "Gaussians",
    "Mesh",
    "Motion",
    "Pose",
    "RadianceField",
    "RayColors",
    "RaySamples",
    "Rendering",
    "Scene",
    "Shape",
    "Skeleton",
    "Split",
    "Warped",
    "facing",
    "map_tensors",
]
