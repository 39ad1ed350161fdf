"""A moving avatar: poses in, pictures out."""

import math

import torch
from torch import Tensor

from avatar.body import load_body
from avatar.canonical import HybridConfig
from avatar.geometry import multiply_quats, quats_from_axis_angles
from avatar.model import Avatar, AvatarConfig
from avatar.render import framing_distance, orbit, render
from avatar.structs import Camera, Pose

from .clock import Part

NUM_GAUSSIANS, SIZE_PX = 20_000, 512


def swaying(num_frames: int) -> Pose:
    """A sequence in which every joint swings smoothly about its place at rest, each in its own rhythm."""
    rest, generator = load_body().rest_pose(), torch.Generator().manual_seed(0)
    joints = len(rest.local_quats)
    phases = 2 * math.pi * torch.rand(joints, 3, generator=generator)
    rhythm = torch.randint(1, 4, (joints, 3), generator=generator)
    times = torch.linspace(0, 2 * math.pi, num_frames)[:, None, None]
    swing = 0.15 * torch.rand(joints, 3, generator=generator) * (rhythm * times + phases).sin()
    return Pose(
        local_quats=multiply_quats(rest.local_quats.expand(num_frames, joints, 4), quats_from_axis_angles(swing)),
        root_position_world=rest.root_position_world.expand(num_frames, 3),
    )


def front_camera(points_world: Tensor) -> Camera:
    """A square picture that the points fill."""
    target = points_world.mean(0)[None]
    (nearby,) = orbit(target, 1.0, height=SIZE_PX, width=SIZE_PX)
    distance_m = framing_distance(points_world[None], target, [nearby])
    return orbit(target, distance_m, height=SIZE_PX, width=SIZE_PX)[0]


@torch.no_grad()
def bench_animate(rounds: int) -> list[dict[str, object]]:
    """Twenty thousand Gaussians at 512²: the parts of a frame, and whole frames, ``rounds`` times through the poses."""
    poses = swaying(60)
    config = AvatarConfig(canonical=HybridConfig(num_gaussians=NUM_GAUSSIANS))
    avatar = Avatar(shape=load_body().default_shape(), poses=poses, frame_ids=range(60), config=config).eval()
    camera = front_camera(avatar.posed(poses[0]).means)
    parts = {name: Part(name=name) for name in ("body", "canonical", "deform", "render", "frame")}
    for _ in range(rounds):
        for frame in range(60):
            pose = poses[frame]
            with parts["body"].measured():
                body = avatar.body(avatar.shape, pose)
            with parts["canonical"].measured():
                scene = avatar.canonical()
            with parts["deform"].measured():
                scene = avatar.deform(scene, body)
            with parts["render"].measured():
                render(scene, camera)
            with parts["frame"].measured():
                render(avatar.posed(pose), camera)
    rows = [{"what": part.name, "rounds": len(part.wall_ms), **part.figures()} for part in parts.values()]
    wall_ms = parts["frame"].wall_ms
    rows[-1]["frames_per_second"] = round(1e3 * len(wall_ms) / sum(wall_ms), 1)
    return rows
