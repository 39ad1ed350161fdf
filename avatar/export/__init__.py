"""What others can open: Gaussians as PLY, meshes as OBJ, pictures and films, scenes of the web viewer."""

from .axes import rotate_gaussians, to_viewer_axes
from .obj import write_obj
from .ply import read_ply, write_ply
from .video import write_png, write_video
from .web_scene import web_motion, web_scene

__all__ = [
    "read_ply",
    "rotate_gaussians",
    "to_viewer_axes",
    "web_motion",
    "web_scene",
    "write_obj",
    "write_ply",
    "write_png",
    "write_video",
]
