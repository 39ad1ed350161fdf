"""Cameras around points that move like a person, for tests that know the truth."""

import json
import math
from pathlib import Path

import torch

from avatar.geometry import look_at, project, transform_points
from avatar.structs import Camera


def ring(count: int, focal_px: float = 800.0) -> list[Camera]:
    """Cameras on a circle of three metres, at several heights, that look at a person's middle."""
    angles = torch.arange(count) * (2 * math.pi / count) + 0.2
    eyes = torch.stack([3 * angles.cos(), 3 * angles.sin(), 1.2 + 0.5 * (2 * angles).sin()], dim=-1)
    middle, up = torch.tensor([0.0, 0.0, 1.0]), torch.tensor([0.0, 0.0, 1.0])
    intrinsics = torch.tensor([[focal_px, 0, 320], [0, focal_px, 240], [0, 0, 1]])
    return [
        Camera(
            name=f"c{i}", camera_from_world=look_at(eye, middle, up), intrinsics_px=intrinsics, height=480, width=640
        )
        for i, eye in enumerate(eyes)
    ]


def person(frames: int, joints: int = 33, seed: int = 0) -> torch.Tensor:
    """Points in a box of a person's size, whose left and right are well apart; ``f j 3``, metres, double precision."""
    generator = torch.Generator().manual_seed(seed)
    rest = (torch.rand(joints, 3, generator=generator, dtype=torch.float64) - 0.5) * torch.tensor([0.8, 0.8, 1.6])
    drift = torch.randn(frames, 1, 3, generator=generator, dtype=torch.float64) * 0.2
    wiggle = torch.randn(frames, joints, 3, generator=generator, dtype=torch.float64) * 0.05
    return rest + drift + wiggle + torch.tensor([0.0, 0.0, 1.0])


def seen(cameras: list[Camera], points_world: torch.Tensor) -> torch.Tensor:
    """Where all cameras see the points: ``f c j 2``."""
    pixels = [
        project(transform_points(each.camera_from_world.double(), points_world), each.intrinsics_px.double())[0]
        for each in cameras
    ]
    return torch.stack(pixels, dim=1)


def real_rig(folder: Path) -> list[Camera]:
    """The cameras of a capture's ``cameras.json``."""
    cameras = []
    for name, entry in sorted(json.loads((folder / "cameras.json").read_text()).items()):
        camera_from_world = torch.eye(4)
        camera_from_world[:3, :3] = torch.tensor(entry["R"])
        camera_from_world[:3, 3] = torch.tensor(entry["T_m"]).flatten()
        intrinsics = torch.tensor(entry["K"]) + torch.tensor([[0, 0, 0.5], [0, 0, 0.5], [0, 0, 0]])
        size = {"height": entry["height"], "width": entry["width"]}
        cameras.append(Camera(name=name, camera_from_world=camera_from_world, intrinsics_px=intrinsics, **size))
    return cameras
