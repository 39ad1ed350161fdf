"""What others can open: Gaussians as PLY, pictures and films."""

from .axes import rotate_gaussians, to_viewer_axes
from .ply import read_ply, write_ply
from .video import write_png, write_video

__all__ = ["read_ply", "rotate_gaussians", "to_viewer_axes", "write_ply", "write_png", "write_video"]
