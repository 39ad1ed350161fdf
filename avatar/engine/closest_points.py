"""The closest point of a mesh to each of many points, with signed distances that pass gradients."""

import ctypes

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from .closest_points_reference import ClosestPoints, check_points, closest_points_reference
from .library import call, integers, pointers
from .mesh_tree import MeshTree, TreeArguments

_TREE = "Tensor faces, Tensor edges, Tensor order, Tensor leaves, Tensor boxes, Tensor normals, Tensor feature_normals"
torch.library.define(
    "avatar::closest_points", f"(Tensor points, Tensor vertices, {_TREE}) -> (Tensor, Tensor, Tensor, Tensor)"
)
torch.library.define(
    "avatar::closest_points_backward",
    "(Tensor v_distances, Tensor faces, Tensor face_ids, Tensor barycentrics, Tensor directions, SymInt num_vertices)"
    " -> (Tensor, Tensor)",
)


class _Arguments(ctypes.Structure):
    _fields_ = [
        ("tree", TreeArguments),
        *pointers("edges face_normals feature_normals"),
        *integers("num_points"),
        *pointers("points face_ids barycentrics distances directions"),
    ]


class _GradientArguments(ctypes.Structure):
    _fields_ = [
        *integers("num_points num_vertices"),
        *pointers("faces face_ids barycentrics directions v_distances v_points v_vertices"),
    ]


def closest_points(points: Float[Tensor, "n 3"], tree: MeshTree) -> ClosestPoints:
    """For every point the closest one of the tree's mesh, in the frame and unit of ``tree.vertices``.

    Distances are negative inside: behind the pseudo-normal of the triangle, edge or vertex that holds the closest point
    (angle-weighted at vertices; Baerentzen and Aanaes 2005), which is exact for a closed mesh without crossings. On an
    open mesh the sign says on which side of the nearest surface a point is, and means nothing beyond the border.

    Distances are differentiable with respect to ``points`` and ``tree.vertices``, with the triangle and the place on it
    held: to first order that is exact wherever the distance is smooth. On the CPU compiled: answers depend neither on
    the tree's state nor on the other points nor on threads. Elsewhere the reference.

    Raises:
        ValueError: shape, dtype or device does not fit the tree.
    """
    check_points(points, tree)
    if tree.boxes is None:
        return closest_points_reference(points, tree)
    buffers = (tree.faces, tree.edges, *tree.boxes)
    return ClosestPoints(*torch.ops.avatar.closest_points(points.contiguous(), tree.vertices, *buffers))


@torch.library.impl("avatar::closest_points", "cpu")
def _forward(points: Tensor, vertices: Tensor, *buffers: Tensor) -> tuple[Tensor, ...]:
    faces, edges, order, leaves, boxes, *normals = buffers
    outputs = _forward_fake(points, vertices, *buffers)
    tree = TreeArguments(len(faces), *(t.data_ptr() for t in (faces, order, leaves, boxes)))
    addresses = [t.data_ptr() for t in (edges, *normals)]
    arguments = _Arguments(tree, *addresses, len(points), points.data_ptr(), *(t.data_ptr() for t in outputs))
    call("closest_points", points.dtype, arguments)
    return outputs


@torch.library.register_fake("avatar::closest_points")
def _forward_fake(points: Tensor, vertices: Tensor, *buffers: Tensor) -> tuple[Tensor, ...]:
    del vertices, buffers
    face_ids = torch.empty(points.shape[0], dtype=torch.int64, device=points.device)
    return face_ids, torch.empty_like(points), torch.empty_like(points[:, 0]), torch.empty_like(points)


@torch.library.impl("avatar::closest_points_backward", "cpu")
def _backward(
    v_distances: Tensor, faces: Tensor, face_ids: Tensor, barycentrics: Tensor, directions: Tensor, num_vertices: int
) -> tuple[Tensor, Tensor]:
    inputs = (faces, face_ids, barycentrics, directions, v_distances)
    gradients = _backward_fake(v_distances, faces, face_ids, barycentrics, directions, num_vertices)
    addresses = (t.data_ptr() for t in (*inputs, *gradients))
    call("closest_points_backward", v_distances.dtype, _GradientArguments(len(face_ids), num_vertices, *addresses))
    return gradients


@torch.library.register_fake("avatar::closest_points_backward")
def _backward_fake(
    v_distances: Tensor, faces: Tensor, face_ids: Tensor, barycentrics: Tensor, directions: Tensor, num_vertices: int
) -> tuple[Tensor, Tensor]:
    del v_distances, faces, face_ids, barycentrics
    return torch.empty_like(directions), directions.new_empty(num_vertices, 3)


def _setup_context(ctx, inputs: tuple, output: tuple) -> None:
    face_ids, barycentrics, _, directions = output
    ctx.save_for_backward(inputs[2], face_ids, barycentrics, directions)
    ctx.num_vertices = inputs[1].shape[0]
    ctx.mark_non_differentiable(face_ids, barycentrics, directions)


@once_differentiable
def _differentiate(ctx, _face_ids, _barycentrics, v_distances: Tensor, _directions) -> tuple:
    saved = ctx.saved_tensors
    v_points, v_vertices = torch.ops.avatar.closest_points_backward(v_distances.contiguous(), *saved, ctx.num_vertices)
    return v_points, v_vertices, *[None] * 7


torch.library.register_autograd("avatar::closest_points", _differentiate, setup_context=_setup_context)
