"""Pure functions of tensors: rotations, rigid transforms, kinematics, skinning, triangles, cameras, harmonics, meshes.

Any batch shape, float32 or float64, differentiable. Conventions are those of ``avatar.structs``.
"""

from .barycentric import interpolate, sample_surface, triangle_areas, triangle_frames, triangle_normals
from .kinematics import forward_kinematics
from .marching_cubes import marching_cubes
from .projection import look_at, project, projection_jacobian, unproject
from .rigid import (
    dual_quats_from_rigid,
    invert_rigid,
    rigid_from_dual_quats,
    rigid_from_parts,
    transform_directions,
    transform_points,
    translations_from_dual_quats,
)
from .rotations import (
    axis_angles_from_matrices,
    axis_angles_from_quats,
    conjugate_quats,
    matrices_from_axis_angles,
    matrices_from_quats,
    multiply_quats,
    nearest_rotations,
    normalize_quats,
    quats_from_axis_angles,
    quats_from_matrices,
    rotate_points,
    slerp,
)
from .skinning import (
    blend_dual_quats,
    blend_rotations,
    blend_transforms,
    dqs,
    inverse_lbs,
    invert_linear,
    lbs,
    lbs_dqs_blend,
)
from .spherical_harmonics import SH_C0, evaluate_sh, scale_colors, sh_basis
from .subdivision import split_edges, split_long_edges
from .surface_walk import SurfaceWalk, WalkableSurface
from .topology import (
    cotangent_laplacian,
    cotangent_weights,
    edges,
    face_neighbours,
    farthest_point_sampling,
    interior_edges,
    side_edges,
    uniform_laplacian,
    vertex_normals,
)
from .weighted_rows import dense_weights, sum_weighted_rows
from .winding import winding_numbers

__all__ = [
    "SH_C0",
    "SurfaceWalk",
    "WalkableSurface",
    "axis_angles_from_matrices",
    "axis_angles_from_quats",
    "blend_dual_quats",
    "blend_rotations",
    "blend_transforms",
    "conjugate_quats",
    "cotangent_laplacian",
    "cotangent_weights",
    "dense_weights",
    "dqs",
    "dual_quats_from_rigid",
    "edges",
    "evaluate_sh",
    "face_neighbours",
    "farthest_point_sampling",
    "forward_kinematics",
    "interior_edges",
    "interpolate",
    "inverse_lbs",
    "invert_linear",
    "invert_rigid",
    "lbs",
    "lbs_dqs_blend",
    "look_at",
    "marching_cubes",
    "matrices_from_axis_angles",
    "matrices_from_quats",
    "multiply_quats",
    "nearest_rotations",
    "normalize_quats",
    "project",
    "projection_jacobian",
    "quats_from_axis_angles",
    "quats_from_matrices",
    "rigid_from_dual_quats",
    "rigid_from_parts",
    "rotate_points",
    "sample_surface",
    "scale_colors",
    "sh_basis",
    "side_edges",
    "slerp",
    "split_edges",
    "split_long_edges",
    "sum_weighted_rows",
    "transform_directions",
    "transform_points",
    "translations_from_dual_quats",
    "triangle_areas",
    "triangle_frames",
    "triangle_normals",
    "uniform_laplacian",
    "unproject",
    "vertex_normals",
    "winding_numbers",
]
