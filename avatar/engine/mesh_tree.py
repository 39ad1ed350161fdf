"""A tree of boxes over the triangles of a mesh, built once and fitted to new vertices each frame."""

import ctypes
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from .library import call, integers, is_compiled, pointers

LANES, LEAF_FIELDS, BOX_FIELDS = 16, 17, 6
"""Children of a node and triangles of a leaf; what ``csrc/mesh_tree.h`` keeps for each of them."""
LOOSEST = 1.25
"""How loose boxes may become through refitting, relative to when the tree was new, before ``update`` builds a new one.

Measured on the body: there 100k queries lose to a refitted tree what a new one costs more than a refit.
"""


class TreeArguments(ctypes.Structure):
    """``MeshTree`` of ``csrc/mesh_tree.h``."""

    _fields_ = [*integers("num_faces"), *pointers("faces order leaves boxes")]


class _BuildArguments(ctypes.Structure):
    _fields_ = [("tree", TreeArguments), *pointers("vertices")]


class _RefitArguments(ctypes.Structure):
    _fields_ = [("tree", TreeArguments), *pointers("vertices looseness")]


class _NormalArguments(ctypes.Structure):
    _fields_ = [
        *integers("num_faces num_features"),
        *pointers("faces vertices starts corners"),
        *integers("num_vertices"),
        *pointers("face_normals angles feature_normals"),
    ]


class Boxes(NamedTuple):
    """What the compiled search reads: triangles in the order of the tree, boxes, and pseudo-normals."""

    order: Int[Tensor, " lanes"]
    leaves: Float[Tensor, "leaves fields 16"]
    boxes: Float[Tensor, "nodes fields 16"]
    face_normals: Float[Tensor, "t 3"]
    feature_normals: Float[Tensor, "f 3"]


class MeshTree:
    """Triangles, where their vertices are now, and, on the CPU, what it takes to find the one closest to a point fast.

    Faces stay, vertices move: ``refit`` keeps the tree and fits its boxes, which suffices while neighbours remain
    neighbours, as on a posed body; ``rebuild`` sorts the triangles anew; ``update`` refits, and rebuilds where boxes
    have become loose. All of them leave the answers the same and change only the speed. Boxes live in buffers that the
    next refit overwrites: ask one tree from one thread at a time.

    Attributes:
        faces: triangles, counter-clockwise from outside; vertices at one place should be one vertex, for a seam of two
            counts as a border. Triangles with a corner that is not finite are left out.
        vertices: the latest, any unit; distances are in that unit and pass gradients to them.
        edges: which feature the edge from each corner to the next is; features are the vertices, then the edges.
        num_features: how many there are.

    Raises:
        ValueError: shapes or dtypes do not fit, or a face names a vertex that is not there.
    """

    def __init__(self, faces: Int[Tensor, "t 3"], vertices: Float[Tensor, "v 3"]) -> None:
        _check(faces, vertices)
        self.faces, self.vertices = faces.long().contiguous(), vertices
        sides = torch.stack([self.faces, self.faces.roll(-1, 1)], 2).sort(2).values
        keys, edges = torch.unique(sides[..., 0] * len(vertices) + sides[..., 1], return_inverse=True)
        self.edges: Int[Tensor, "t 3"] = (edges + len(vertices)).int()
        self.num_features = len(vertices) + len(keys)
        self._boxes: Boxes | None = None
        if is_compiled() and vertices.device.type == "cpu":
            features = torch.cat([self.faces.flatten(), self.edges.flatten()])
            self._corners = (features.argsort() % self.faces.numel()).int() if len(faces) else features.int()
            counts = torch.bincount(features, minlength=self.num_features).cumsum(0)
            self._starts = torch.cat([counts.new_zeros(1), counts]).int()
            self._boxes = _new_boxes(len(faces), self.num_features, vertices.dtype)
        self.rebuild(vertices)

    @property
    def boxes(self) -> Boxes | None:
        """What the compiled search reads; None where only the reference can be asked."""
        return self._boxes

    def arguments(self, boxes: Boxes) -> TreeArguments:
        """The tree for a kernel."""
        return TreeArguments(len(self.faces), *(t.data_ptr() for t in (self.faces, *boxes[:3])))

    def rebuild(self, vertices: Float[Tensor, "v 3"]) -> None:
        """A new tree for these vertices. ValueError where they do not fit those before."""
        self._move(vertices)
        if self._boxes:
            arguments = _BuildArguments(self.arguments(self._boxes), self._positions.data_ptr())
            call("mesh_tree_build", self.vertices.dtype, arguments)
        self._built_looseness = self._fit()

    def refit(self, vertices: Float[Tensor, "v 3"]) -> None:
        """The same tree with its boxes around these vertices. ValueError where they do not fit those before."""
        self._move(vertices)
        self._fit()

    def update(self, vertices: Float[Tensor, "v 3"]) -> bool:
        """Refit, and rebuild where that leaves boxes too loose; says whether it did.

        Looseness is the surface of the leaves' boxes over the squared edges of their triangles, so size does not count;
        a quarter more than in the tree when it was new is too loose. ValueError where vertices do not fit.
        """
        self._move(vertices)
        is_loose = self._fit() > LOOSEST * self._built_looseness
        if is_loose:
            self.rebuild(vertices)
        return is_loose

    def _move(self, vertices: Tensor) -> None:
        if vertices.shape != self.vertices.shape or vertices.dtype != self.vertices.dtype:
            expected, found = (f"{tuple(v.shape)} {v.dtype}" for v in (self.vertices, vertices))
            raise ValueError(f"MeshTree: vertices: expected {expected} as before, got {found}")
        self.vertices, self._positions = vertices, vertices.detach().contiguous()

    def _fit(self) -> float:
        """Boxes and pseudo-normals for the present vertices; returns how loose the boxes are."""
        if not self._boxes:
            return 0.0
        looseness = ctypes.c_double()
        address = self._positions.data_ptr()
        tree = self.arguments(self._boxes)
        call("mesh_tree_refit", self.vertices.dtype, _RefitArguments(tree, address, ctypes.addressof(looseness)))
        angles = torch.empty(len(self.faces), 3, dtype=self.vertices.dtype)
        inputs = (t.data_ptr() for t in (self.faces, self._positions, self._starts, self._corners))
        outputs = (t.data_ptr() for t in (self._boxes.face_normals, angles, self._boxes.feature_normals))
        sizes = (len(self.faces), self.num_features)
        call("pseudo_normals", self.vertices.dtype, _NormalArguments(*sizes, *inputs, len(self.vertices), *outputs))
        return looseness.value


def _new_boxes(num_faces: int, num_features: int, dtype: torch.dtype) -> Boxes:
    """Room for a tree: as many levels as it takes to come down to one node."""
    leaves = level = -(-num_faces // LANES)
    nodes = 0
    while level > 1:
        level = -(-level // LANES)
        nodes += level
    return Boxes(
        order=torch.empty(leaves * LANES, dtype=torch.int32),
        leaves=torch.empty(leaves, LEAF_FIELDS, LANES, dtype=dtype),
        boxes=torch.empty(nodes, BOX_FIELDS, LANES, dtype=dtype),
        face_normals=torch.empty(num_faces, 3, dtype=dtype),
        feature_normals=torch.empty(num_features, 3, dtype=dtype),
    )


def _check(faces: Tensor, vertices: Tensor) -> None:
    if faces.shape != (len(faces), 3) or vertices.shape != (len(vertices), 3):
        raise ValueError(
            f"MeshTree: expected (t, 3) faces and (v, 3) vertices, got {tuple(faces.shape)} and {tuple(vertices.shape)}"
        )
    if vertices.dtype not in (torch.float32, torch.float64):
        raise ValueError(f"MeshTree: vertices: expected float32 or float64, got {vertices.dtype}")
    if len(faces) and (int(faces.min()) < 0 or int(faces.max()) >= len(vertices)):
        raise ValueError(
            f"MeshTree: expected faces of vertices 0 to {len(vertices) - 1}, "
            f"got {int(faces.min())} to {int(faces.max())}"
        )
