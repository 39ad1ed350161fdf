"""A person of sticks who swings its arms, what one camera sees of it, and what a network would guess."""

import math

import torch

from avatar.geometry import look_at, project, transform_points
from avatar.prepare.field_of_view import LONGER
from avatar.prepare.person_depth import turns_towards
from avatar.prepare.skeleton import NAMES
from avatar.structs import Camera

# Of a person 1.7 m tall that faces -y: to its left, back and up.
_REST = {
    **{"nose": (0, -0.1, 1.57), "eye_inner": (0.02, -0.09, 1.61), "eye": (0.03, -0.09, 1.61)},
    **{"eye_outer": (0.05, -0.08, 1.61), "ear": (0.07, 0, 1.58), "mouth": (0.02, -0.09, 1.53)},
    **{"shoulder": (0.18, 0, 1.38), "elbow": (0.22, 0, 1.1), "wrist": (0.24, 0, 0.85)},
    **{"pinky": (0.24, 0.03, 0.77), "index": (0.24, -0.03, 0.77), "thumb": (0.22, -0.04, 0.8)},
    **{"hip": (0.1, 0, 0.872), "knee": (0.1, 0, 0.47), "ankle": (0.1, 0, 0.09)},
    **{"heel": (0.1, 0.05, 0.03), "foot_index": (0.1, -0.15, 0.03)},
}
_SWINGS = {"elbow": (0.6, 1.38), "wrist": (0.6, 1.38)}


def swinging(frames: int) -> torch.Tensor:
    """Landmarks in the world, ``f 33 3``: a person who turns about itself while its arms swing."""
    times = torch.arange(frames, dtype=torch.float64) / 10
    points = torch.stack([_rest(name) for name in NAMES]).expand(frames, 33, 3).clone()
    for name, (reach, hinge) in _SWINGS.items():
        for side, sign in (("left", 1), ("right", -1)):
            row = NAMES.index(f"{side}_{name}")
            angles = sign * reach * (3 * times).sin()
            length = hinge - points[:, row, 2]
            points[:, row, 1] += length * angles.sin()
            points[:, row, 2] = hinge - length * angles.cos()
    cosines, sines = (0.7 * times).cos(), (0.7 * times).sin()
    turns = torch.stack([cosines, -sines, sines, cosines], dim=-1).view(-1, 2, 2)
    points[..., :2] = points[..., :2] @ turns.mT
    points[..., :2] += 0.2 * torch.stack([times.sin(), times.cos()], dim=-1)[:, None]
    return points


def camera(degrees: float = 50.0, tilt: float = 0.15, distance: float = 3.5, portrait: bool = True) -> Camera:
    """A camera that looks at the middle of the person, ``tilt`` radians down, with that field of view."""
    middle = torch.tensor([0.0, 0.0, 0.85])
    eye = middle + distance * torch.tensor([0.3 * math.cos(tilt), -0.954 * math.cos(tilt), math.sin(tilt)])
    height, width = (1280, 720) if portrait else (720, 1280)
    focal_px = 640 / math.tan(math.radians(degrees) / 2)
    intrinsics = torch.tensor([[focal_px, 0, width / 2], [0, focal_px, height / 2], [0, 0, 1]])
    pose = look_at(eye, middle, torch.tensor([0.0, 0.0, 1.0]))
    return Camera(name="phone", camera_from_world=pose, intrinsics_px=intrinsics, height=height, width=width)


def seen(points_world: torch.Tensor, view: Camera, noise_px: float = 2.0) -> torch.Tensor:
    """Landmarks in the picture, ``f 33 2``."""
    places = transform_points(view.camera_from_world.double(), points_world)
    pixels = project(places, view.intrinsics_px.double())[0]
    return pixels + noise_px * torch.randn(pixels.shape, generator=torch.Generator().manual_seed(1)).double()


def guessed(points_world: torch.Tensor, view: Camera, longer: float = 1.0, noise_m: float = 0.02) -> torch.Tensor:
    """What a network guesses that takes the lens for one of a ``longer`` focal length, ``f 33 3``.

    From the middle of the hips, by the axes of a camera that looks straight at the person.
    """
    places = transform_points(view.camera_from_world.double(), points_world)
    middle = places.mean(dim=1, keepdim=True)
    depths = places[..., 2:] + (longer - 1) * middle[..., 2:]
    places = torch.cat([places[..., :2] / places[..., 2:] * depths / longer, depths], dim=-1)
    turns = turns_towards((places[..., :2] / places[..., 2:]).mean(dim=1))
    hips = places[:, [NAMES.index("left_hip"), NAMES.index("right_hip")]].mean(dim=1, keepdim=True)
    guesses = (places - hips) @ turns
    return guesses + noise_m * torch.randn(guesses.shape, generator=torch.Generator().manual_seed(2)).double()


def _rest(name: str) -> torch.Tensor:
    words = name.split("_")
    side = next((word for word in words if word in ("left", "right")), "left")
    x, y, z = _REST["_".join(word for word in words if word not in ("left", "right"))]
    return torch.tensor([x if side == "left" else -x, y, z], dtype=torch.float64)


def like_a_network(points_world: torch.Tensor, view: Camera) -> torch.Tensor:
    """Guesses as wrong about perspective as those of real networks."""
    return guessed(points_world, view, LONGER)
