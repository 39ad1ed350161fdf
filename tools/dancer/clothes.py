"""Clothes, hair and shoes: pieces of the body's surface, smoothed, moved outwards, folded and lagging a little."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import normalize

from avatar.body import AnnyBody, ShapedBody
from avatar.geometry import axis_angles_from_quats, edges, lbs, sum_weighted_rows, uniform_laplacian, vertex_normals
from avatar.structs import Body

OVERLAP_M = 0.015
"""How far the skin goes on under a garment's hem."""

ARM_PARTS = ("upperarm", "lowerarm", "wrist", "finger", "metacarpal")
BUN = (0.0, 0.035, 0.865)
TOES, TOE_RADII = (0.181, -0.155, -0.797), (0.056, 0.073, 0.034)
EARS = (0.078, -0.045, 0.763)


@dataclass(frozen=True, kw_only=True, eq=False)
class Layer:
    """A garment, or what garments leave bare. Its surface is known for the whole body and cut to its own part.

    Attributes:
        name: what it is.
        rest: where it lies at rest, metres.
        normals: outwards, at rest.
        folds_m: how deep its folds are.
        looseness: how much it lags behind the body, in [0, 1].
        ends, mix: its own vertices, each on an edge between two of the body's.
        faces: its triangles.
        marks: of its own vertices what patterns refer to: rest position, and metres down the arm (0 off the arms).
    """

    name: str
    rest: Float[Tensor, "v 3"]
    normals: Float[Tensor, "v 3"]
    folds_m: float
    looseness: Float[Tensor, " v"]
    ends: Int[Tensor, "n 2"]
    mix: Float[Tensor, " n"]
    faces: Int[Tensor, "t 3"]
    marks: Float[Tensor, "n 4"]

    def cut(self, values: Float[Tensor, "v d"]) -> Float[Tensor, "n d"]:
        """Values at the body's vertices to values at the layer's own."""
        return between(values, self.ends, self.mix)


def dress(model: AnnyBody, person: ShapedBody) -> tuple[Layer, ...]:
    """Everything that can be seen: T-shirt, trousers, shoes, hair, bare skin and eyes."""
    points, faces, arm = person.rest.vertices, person.rig.faces, down_the_arm(person)
    is_eye = torch.tensor([name.startswith("eye_front") for name in model.part_names])[model.face_parts]

    def layer(
        name: str, is_there: Tensor, lift_m: Tensor, rounds: int = 0, *, folds_m: float = 0.0, looseness: float = 0.0
    ) -> Layer:
        surface = smoothed(points, faces, rounds)
        normals = vertex_normals(surface, faces)
        rest = smoothed(out_of_toe_caps(surface + normals * lift_m[:, None]), faces, rounds)
        ends, mix, own_faces = clip(faces[is_eye if name == "eyes" else ~is_eye], is_there)
        return Layer(
            name=name,
            rest=rest,
            normals=normals,
            folds_m=folds_m,
            looseness=looseness * smoothstep(lift_m, 0.012, 0.030),
            ends=ends,
            mix=mix,
            faces=own_faces,
            marks=between(torch.cat([rest, arm[:, None]], 1), ends, mix),
        )

    x, y, z = smoothed(points, faces, 16).unbind(1)
    shirt = torch.stack([0.165 - arm, z - 0.045, neckline(x, y, z), 0.66 - z]).amin(0)
    trousers = torch.stack([0.12 - z, z + 0.70, 0.02 - arm]).amin(0)
    shoes = -0.735 - z
    ears = (torch.stack([x.abs(), y, z], 1) - torch.tensor(EARS)).norm(dim=1) - 0.036
    hair = torch.stack([z + 0.95 * y - 0.735, ears, z - 0.64]).amin(0)
    bare = OVERLAP_M - torch.stack([shirt, trousers, shoes, hair]).amax(0)
    bun = smoothstep((points - torch.tensor(BUN)).norm(dim=1), 0.055, 0.020)
    hem, sleeve, leg = smoothstep(z, 0.40, 0.03), smoothstep(arm, 0.03, 0.165), smoothstep(z, -0.10, -0.70)
    none = torch.zeros_like(z)
    return (
        layer("skin", bare, none),
        layer("eyes", none + 1, none),
        layer("trousers", trousers, 0.010 + 0.020 * leg, 16, folds_m=0.010, looseness=0.35),
        layer("shirt", shirt, 0.013 + 0.018 * hem + 0.014 * sleeve, 16, folds_m=0.011, looseness=0.55),
        layer("shoes", shoes, none + 0.010, 40),
        layer("hair", hair, 0.003 + 0.014 * smoothstep(hair, -0.005, 0.05) + 0.062 * bun, 4),
    )


def drape(layer: Layer, body: Body, before: Body) -> tuple[Float[Tensor, "n 3"], Float[Tensor, "n 3"]]:
    """The layer's own vertices and unit normals in the world, on ``body``, which a moment before was ``before``.

    Loose cloth stays behind, towards where it was, but never sinks into the body.
    """
    faces = body.rest.faces
    depth_m = layer.folds_m * folds(body)
    rest = layer.rest + layer.normals * depth_m[:, None]
    now, then = (lbs(rest, pose.bone_ids, pose.bone_weights, pose.posed_from_rest) for pose in (body, before))
    normals = vertex_normals(now, faces)
    lag = (then - now) * layer.looseness[:, None]
    posed = now + lag - (lag * normals).sum(1, keepdim=True).clamp(max=0) * normals
    return layer.cut(posed), normalize(layer.cut(vertex_normals(posed, faces)), dim=1)


def folds(body: Body) -> Float[Tensor, " v"]:
    """Folds in [-1, 1] around the limbs: they deepen and wander as the joints nearby bend."""
    bends = torch.linalg.vector_norm(axis_angles_from_quats(body.pose.local_quats), dim=-1, keepdim=True)
    bends[0] = 0.0  # turning on the spot bends nothing
    bend = smoothed(sum_weighted_rows(bends, body.bone_ids, body.bone_weights), body.rest.faces, 12)[:, 0].clamp(0, 1)
    x, y, z = body.rest.vertices.unbind(1)
    wander = torch.sin(17 * x + 9 * z + 2 * bend) + torch.sin(21 * y - 13 * z - 3 * bend)
    patches = 0.6 + 0.4 * torch.sin(11 * y + 8 * x)
    return (0.25 + 0.75 * bend) * patches * torch.sin(75 * z + 35 * x.abs() + 2.2 * wander)


def neckline(x: Tensor, y: Tensor, z: Tensor) -> Tensor:
    """Distance outwards from the hole for the neck: a cylinder above a plane that falls towards the chest."""
    return torch.maximum(0.60 + 0.55 * y - z, torch.hypot(x, y + 0.01) - 0.085)


def out_of_toe_caps(points: Float[Tensor, "v 3"]) -> Float[Tensor, "v 3"]:
    """Points inside the ellipsoids around the toes moved out to them, others where they are."""
    centres = torch.tensor(TOES) * torch.stack([points[:, 0].sign(), *torch.ones(2, len(points))], 1)
    offsets = points - centres
    radii = (offsets / torch.tensor(TOE_RADII)).norm(dim=1, keepdim=True)
    return torch.where(radii < 1, centres + offsets / radii, points)


def down_the_arm(person: ShapedBody) -> Float[Tensor, " v"]:
    """How far every vertex lies from the shoulder along the upper arm, metres; 0 off the arms."""
    names = person.rig.joint_names
    shoulder, elbow = (person.joints_rest[names.index(f"{joint}arm01.L")] for joint in ("upper", "lower"))
    is_arm = torch.tensor([[float(name.startswith(ARM_PARTS))] for name in names])
    mirrored = torch.cat([person.rest.vertices[:, :1].abs(), person.rest.vertices[:, 1:]], 1)
    along = (mirrored - shoulder) @ normalize(elbow - shoulder, dim=0)
    return along.clamp(min=0) * sum_weighted_rows(is_arm, person.rig.bone_ids, person.rig.bone_weights)[:, 0]


def smoothed(values: Float[Tensor, "v d"], faces: Int[Tensor, "t 3"], rounds: int) -> Float[Tensor, "v d"]:
    """Values without what changes from vertex to vertex, by the bilaplacian, under which broad shapes do not shrink."""
    sides = edges(faces)
    for _ in range(rounds):
        values = values - 0.25 * uniform_laplacian(uniform_laplacian(values, sides), sides)
    return values


def clip(faces: Int[Tensor, "t 3"], field: Float[Tensor, " v"]) -> tuple[Tensor, Tensor, Tensor]:
    """``ends``, ``mix`` and ``faces`` of a layer: where ``field`` is positive, cut through the triangles."""
    is_inside = (field[faces] > 0).int()
    count = is_inside.sum(1)
    odd_one = torch.where(count == 1, is_inside.argmax(1), is_inside.argmin(1))
    a, b, c = faces.gather(1, (odd_one[:, None] + torch.arange(3)) % 3).unbind(1)

    def on_edge(start: Tensor, end: Tensor) -> Tensor:
        return torch.minimum(start, end) * len(field) + torch.maximum(start, end)

    aa, bb, cc, ab, ac = on_edge(a, a), on_edge(b, b), on_edge(c, c), on_edge(a, b), on_edge(a, c)
    pieces = [((aa, bb, cc), 3), ((aa, ab, ac), 1), ((ab, bb, cc), 2), ((ab, cc, ac), 2)]
    corners = torch.cat([torch.stack(piece, 1)[count == kind] for piece, kind in pieces])
    codes, own_faces = torch.unique(corners, return_inverse=True)
    ends = torch.stack([codes // len(field), codes % len(field)], 1)
    first, second = field[ends].unbind(1)
    mix = torch.where(ends[:, 0] == ends[:, 1], 0.0, first / (first - second))
    return ends, mix, own_faces


def between(values: Float[Tensor, "v d"], ends: Int[Tensor, "n 2"], mix: Float[Tensor, " n"]) -> Float[Tensor, "n d"]:
    """Values at points between two vertices each."""
    return torch.lerp(values[ends[:, 0]], values[ends[:, 1]], mix[:, None])


def smoothstep(values: Tensor, start: float, end: float) -> Tensor:
    """0 before ``start``, 1 past ``end`` (which may be the smaller), smooth between."""
    fraction = ((values - start) / (end - start)).clamp(0, 1)
    return fraction * fraction * (3 - 2 * fraction)
