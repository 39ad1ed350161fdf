"""Cameras for pictures that nobody took: around a person, and as close as the picture allows."""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from avatar.geometry import look_at
from avatar.structs import Camera

FOCAL_LENGTHS = 2.0  # focal length over the height of the picture: 28 degrees from top to bottom, a portrait lens
MARGIN = 0.06  # of the picture, free on every side


def orbit(
    targets_world: Float[Tensor, "f 3"],
    distance_m: float,
    *,
    height: int,
    width: int,
    elevation: float = 0.12,
    start: float = -math.pi / 2,
    turns: float = 1.0,
) -> list[Camera]:
    """Cameras on a circle, each with a target of its own, which may move, in the middle of its picture.

    Args:
        targets_world: what each camera looks at, metres.
        distance_m: of a camera from its target.
        height, width: size of the pictures in pixels.
        elevation: of a camera above the horizon of its target, radians.
        start: direction of the first camera from its target, radians from +X towards +Y; by default -Y, which a body at
            rest faces.
        turns: how often they go round, counter-clockwise seen from above; the last stops a step before the beginning.

    Raises ValueError when the distance or the size is not positive, or a camera is right above its target.
    """
    if not distance_m > 0:
        raise ValueError(f"orbit: expected distance_m above 0, got {distance_m}")
    count = len(targets_world)
    angles = start + 2 * math.pi * turns / max(1, count) * torch.arange(count)
    level, rise = distance_m * math.cos(elevation), distance_m * math.sin(elevation)
    offsets = torch.stack([level * angles.cos(), level * angles.sin(), torch.full((count,), rise)], dim=-1)
    up = targets_world.new_tensor([0.0, 0.0, 1.0])
    focal_px = FOCAL_LENGTHS * height
    intrinsics_px = targets_world.new_tensor([[focal_px, 0, width / 2], [0, focal_px, height / 2], [0, 0, 1]])
    return [
        Camera(name=f"orbit_{index}", camera_from_world=matrix, intrinsics_px=intrinsics_px, height=height, width=width)
        for index, matrix in enumerate(look_at(targets_world + offsets.to(targets_world), targets_world, up))
    ]


def framing_distance(
    points_world: Float[Tensor, "f n 3"], targets_world: Float[Tensor, "f 3"], cameras: Sequence[Camera]
) -> float:
    """The smallest distance from their targets at which every camera, turned as it is, has its points in the picture.

    Where a point lies ``x`` beside the axis and ``z`` behind the target, ``focal x / (distance + z)`` is its distance
    from the middle of the picture, which may be half the picture less a margin.
    """
    rotations = torch.stack([camera.camera_from_world[:3, :3] for camera in cameras])
    points = (points_world - targets_world[:, None]) @ rotations.mT
    room = torch.stack(
        [
            (0.5 - MARGIN) * torch.tensor([camera.width, camera.height]) / camera.intrinsics_px.diagonal()[:2]
            for camera in cameras
        ]
    )
    return float((points[..., :2].abs() / room[:, None] - points[..., 2:]).max())
