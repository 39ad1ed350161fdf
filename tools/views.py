"""What an orbiting camera sees of an avatar that moves."""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from avatar.export import write_png, write_video
from avatar.model import Avatar
from avatar.render import RenderConfig, framing_distance, orbit, render
from avatar.structs import Camera, Pose

from .console import progress
from .motion import Motion, facing

CLOTHES_M = 0.05  # what hair and clothes may add around the body


@torch.no_grad()
def orbit_around(avatar: Avatar, poses: Sequence[Pose], height: int, width: int) -> list[Camera]:
    """One camera a pose, once around from the front; it goes along with the person, who is in the picture whole."""
    vertices = torch.stack([avatar.body(avatar.shape, pose).vertices_world for pose in poses])
    targets = vertices.mean(1)
    targets[:, 2] = (vertices[..., 2].max() + vertices[..., 2].min()) / 2
    clothed = vertices + CLOTHES_M * (vertices - targets[:, None]).sign()
    circle = partial(orbit, targets, height=height, width=width, start=facing(poses[0]))
    return circle(framing_distance(clothed, targets, circle(1.0)))


@torch.no_grad()
def pictures(
    avatar: Avatar, poses: Sequence[Pose], cameras: Sequence[Camera], config: RenderConfig
) -> Iterator[Float[Tensor, "h w 3"]]:
    """The avatar in each pose, seen by the camera of the same place."""
    for pose, camera in zip(poses, cameras, strict=True):
        yield render(avatar.posed(pose), camera, config).color


def smooth(motion: Motion, frames_per_second: float, count: int | None = None) -> list[Pose]:
    """Poses at an even rate: once through the motion, or to and fro until there are ``count``."""
    duration = (motion.frame_ids[-1] - motion.frame_ids[0]) / motion.frame_rate_hz
    count = count or int(duration * frames_per_second) + 1
    times = torch.arange(count) / frames_per_second
    return motion.between(duration - (times % max(2 * duration, 1e-9) - duration).abs())


def write_pictures(out: Path, images: Iterator[Float[Tensor, "h w 3"]], count: int, frames_per_second: float) -> None:
    """A film, the first picture alone, or a folder of pictures, by the suffix of ``out``; ValueError for others."""
    with progress() as bar:
        shown = bar.track(images, task_id=bar.add_task("render", total=count, detail=""))
        match out.suffix:
            case ".mp4":
                write_video(out, shown, frames_per_second)
            case ".png":
                write_png(out, next(iter(shown)))
            case "":
                for index, image in enumerate(shown):
                    write_png(out / f"{index:06d}.png", image)
            case _:
                raise ValueError(f"{out}: expected .mp4, .png or a folder")
