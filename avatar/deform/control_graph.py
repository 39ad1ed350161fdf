"""Low-frequency motion: a sparse graph of nodes on the template, each with a rotation, a strain and a shift.

What lies between nodes follows their blend, positions and covariances alike (Sumner et al. 2007; the node-centred form
of DreamMesh4D, Li et al. 2024, section 3.3).
"""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor, nn

from avatar.engine import SparseMap
from avatar.geometry import farthest_point_sampling, matrices_from_axis_angles
from avatar.structs import Gaussians, Mesh

from .geodesics import falloff_weights, geodesic_distances

_SHIFT_M, _TURN_RAD, _STRAIN = 0.05, 0.5, 0.2  # of a node, for a mode of one and a coefficient of one
_CANDIDATES = 4  # vertices that nodes are chosen from, for each node


@dataclass(frozen=True, kw_only=True)
class ControlGraphConfig:
    """Size of the graph.

    Attributes:
        num_nodes: spread evenly over the template.
        neighbours: nodes that move a vertex, nearest along the surface.
    """

    num_nodes: int = 400
    neighbours: int = 4

    def __post_init__(self) -> None:
        if self.neighbours < 1:
            raise ValueError(f"ControlGraphConfig.neighbours: expected at least 1, got {self.neighbours}")
        if self.num_nodes <= self.neighbours:
            raise ValueError(
                f"ControlGraphConfig.num_nodes: expected more than neighbours ({self.neighbours}), got {self.num_nodes}"
            )


class ControlGraph(nn.Module):
    """Owns the nodes and what each mode does to them; a pose's coefficients come from elsewhere.

    Attributes:
        nodes: in the canonical pose, metres.
        modes: of every mode and node: shift 3, rotation vector 3, strain xx yy zz xy xz yz. Zero: nothing moves.
    """

    nodes: Float[Tensor, "m 3"]

    def __init__(self, template: Mesh, num_modes: int, config: ControlGraphConfig) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        candidates = torch.randperm(len(template.vertices), generator=generator)[: _CANDIDATES * config.num_nodes]
        chosen = candidates[farthest_point_sampling(template.vertices[candidates], config.num_nodes)]
        distances = geodesic_distances(template.vertices, template.faces, chosen)
        self.register_buffer("nodes", template.vertices[chosen].clone())
        influences = falloff_weights(_bridged(distances, template, chosen), config.neighbours)
        self.to_vertices = SparseMap(*influences, len(chosen))
        self.modes = nn.Parameter(torch.zeros(num_modes, len(chosen), 12))

    def vertex_motion(self, coefficients: Float[Tensor, " k"]) -> Float[Tensor, "v 12"]:
        """Of every vertex, the linear map ``A`` row by row and the shift ``b`` of ``A x + b``."""
        field = self._field(coefficients)
        turns = matrices_from_axis_angles(field[:, 3:6] * _TURN_RAD)
        x, y, z, xy, xz, yz = (field[:, 6:] * _STRAIN).unbind(1)
        strains = torch.stack([x, xy, xz, xy, y, yz, xz, yz, z], 1).view(-1, 3, 3)
        linear = turns + turns @ strains
        shifts = self.nodes + field[:, :3] * _SHIFT_M - (linear @ self.nodes[..., None])[..., 0]
        return self.to_vertices(torch.cat([linear.flatten(1), shifts], 1))

    def moved_vertices(self, vertices: Float[Tensor, "v 3"], coefficients: Float[Tensor, " k"]) -> Float[Tensor, "v 3"]:
        """The template's vertices, moved in the canonical pose."""
        return _moved(vertices, self.vertex_motion(coefficients))

    def vertex_turns(self, coefficients: Float[Tensor, " k"]) -> Float[Tensor, "v 3 3"]:
        """The rotation that every vertex makes: the blend of its nodes' rotation vectors."""
        return matrices_from_axis_angles(self.to_vertices(self._field(coefficients)[:, 3:6] * _TURN_RAD))

    def scaled_modes(self) -> Float[Tensor, "k m 12"]:
        """What a coefficient of one does to every node: shift in metres, rotation vector in radians, strain."""
        scales = self.modes.new_tensor([_SHIFT_M] * 3 + [_TURN_RAD] * 3 + [_STRAIN] * 6)
        return self.modes * scales

    def forward(self, gaussians: Gaussians, coefficients: Float[Tensor, " k"]) -> Gaussians:
        """Gaussians on the template moved in the canonical pose; their covariances by the same linear map."""
        assert gaussians.binding is not None
        motion = gaussians.binding.from_vertices(self.vertex_motion(coefficients))
        return replace(gaussians, means=_moved(gaussians.means, motion), linear=motion[:, :9].view(-1, 3, 3))

    def _field(self, coefficients: Float[Tensor, " k"]) -> Float[Tensor, "m 12"]:
        return (coefficients @ self.modes.flatten(1)).view(self.modes.shape[1:])


def _moved(points: Float[Tensor, "n 3"], motion: Float[Tensor, "n 12"]) -> Float[Tensor, "n 3"]:
    return (motion[:, :9].view(-1, 3, 3) @ points[..., None])[..., 0] + motion[:, 9:]


def _bridged(distances: Float[Tensor, "m v"], template: Mesh, chosen: Tensor) -> Float[Tensor, "m v"]:
    """Distances with straight ones to vertices that no node has a way to, such as eyes."""
    lost = ~distances.isfinite().any(0)
    straight = torch.cdist(template.vertices[chosen], template.vertices)
    return straight.where(lost, distances)
