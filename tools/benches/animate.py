"""A moving avatar: poses in, pictures out."""

import math

import torch
from torch import Tensor

from avatar.body import load_body
from avatar.canonical import HybridConfig
from avatar.geometry import multiply_quats, quats_from_axis_angles
from avatar.model import HybridAvatar, HybridAvatarConfig
from avatar.render import framing_distance, orbit, render
from avatar.structs import Body, Camera, Gaussians, Pose

from .case import Case

NUM_GAUSSIANS, NUM_FRAMES, SIZE_PX = 20_000, 60, 512
PARTS = ("body", "canonical", "deform", "render", "frame")


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


class Film:
    """An avatar that takes the next pose at every frame; the parts of a frame, in the order of ``PARTS``, and whole."""

    body_: Body
    scene: Gaussians

    def __init__(self) -> None:
        self._poses = swaying(NUM_FRAMES)
        config = HybridAvatarConfig(canonical=HybridConfig(num_gaussians=NUM_GAUSSIANS))
        shape, ids = load_body().default_shape(), range(NUM_FRAMES)
        self._avatar = HybridAvatar(shape=shape, poses=self._poses, frame_ids=ids, config=config).eval()
        self._camera = front_camera(self._avatar.posed(self._poses[0]).means)
        self._frame = 0

    def body(self) -> None:
        self._frame = (self._frame + 1) % NUM_FRAMES
        self.body_ = self._avatar.body(self._avatar.shape, self._poses[self._frame])

    def canonical(self) -> None:
        self.scene = self._avatar.canonical()

    def deform(self) -> None:
        self.scene = self._avatar.deform(self.scene, self.body_)

    def render(self) -> None:
        render(self.scene, self._camera)

    def frame(self) -> None:
        render(self._avatar.posed(self._poses[self._frame]), self._camera)


@torch.no_grad()
def cases() -> list[Case]:
    """Twenty thousand Gaussians at 512²: the parts of a frame, and whole frames."""
    film, scene = Film(), f"{NUM_GAUSSIANS // 1000}k {SIZE_PX}²"
    tasks = {part: torch.no_grad()(getattr(film, part)) for part in PARTS}
    return [
        Case(scene=scene, passes=part, run=task, rounds=2 * NUM_FRAMES, alone=part == "frame")
        for part, task in tasks.items()
    ]
