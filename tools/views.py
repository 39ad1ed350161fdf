"""An avatar that moves, seen by cameras."""

import math
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from avatar.deform import LightField
from avatar.export import write_gif, write_png, write_video
from avatar.model import AnyAvatar, Avatar
from avatar.render import RenderConfig, framing_distance, orbit, render
from avatar.structs import Camera, Capture, Motion, Pose, facing

from .console import progress

FROZEN_FRAMES = 72  # of a circle around a person who stands still
CLOTHES_M = 0.05  # what hair and clothes may add around the body


def poses_on_film(motion: Motion, frames_per_second: float | None) -> list[Pose]:
    """Its poses, at an even rate if one is given; a single one as often as a circle around it takes."""
    poses = motion.resampled(frames_per_second) if frames_per_second else motion.captured()
    return poses * FROZEN_FRAMES if len(poses) == 1 else poses


@torch.no_grad()
def orbit_around(avatar: Avatar, poses: Sequence[Pose], height: int, width: int) -> list[Camera]:
    """One camera a pose, once around from the front; it goes along with the person, who is in the picture whole."""
    vertices = torch.stack([avatar.body(avatar.shape, pose.to(avatar.device)).vertices_world.cpu() for pose in poses])
    targets = vertices.mean(1)
    targets[:, 2] = (vertices[..., 2].max() + vertices[..., 2].min()) / 2
    clothed = vertices + CLOTHES_M * (vertices - targets[:, None]).sign()
    circle = partial(orbit, targets, height=height, width=width, start=facing(poses[0]))
    return circle(framing_distance(clothed, targets, circle(1.0)))


def named_camera(capture: Capture | None, name: str, height: int | None) -> Camera:
    """A camera of a capture, its picture scaled to ``height`` if given. ValueError when there is none of the name."""
    if capture is None:
        raise ValueError(f"--path {name}: expected orbit, or --capture to say whose camera it is")
    found = [camera for camera in capture.cameras if camera.name == name]
    if not found:
        raise ValueError(f"--path: no {name!r}; there are orbit, {', '.join(c.name for c in capture.cameras)}")
    return found[0].scaled(height / found[0].height) if height else found[0]


def turn_light(avatar: AnyAvatar, angle_deg: float) -> None:
    """Turn the light around the person, counter-clockwise seen from above. ValueError for an avatar without any."""
    light = avatar.deform.light
    if not isinstance(light, LightField):
        raise ValueError("--light-deg: this avatar knows no light that could be turned; its recipe had no LightField")
    avatar.deform.light = light.turned(math.radians(angle_deg))


@torch.no_grad()
def pictures(
    avatar: Avatar, poses: Sequence[Pose], cameras: Sequence[Camera], config: RenderConfig
) -> Iterator[Float[Tensor, "h w 3"]]:
    """The avatar in each pose, seen by the camera of the same place, on the CPU."""
    for pose, camera in zip(poses, cameras, strict=True):
        yield render(avatar.posed(pose.to(avatar.device)), camera.to(avatar.device), config).color.cpu()


def write_pictures(out: Path, images: Iterator[Float[Tensor, "h w 3"]], count: int, frames_per_second: float) -> None:
    """A film, one picture, or a folder of them, by the suffix of ``out``. ValueError for other suffixes."""
    with progress() as bar:
        shown = bar.track(images, task_id=bar.add_task("render", total=count, detail=""))
        match out.suffix:
            case ".mp4":
                write_video(out, shown, frames_per_second)
            case ".gif":
                write_gif(out, shown, frames_per_second)
            case ".png":
                for image in shown:
                    write_png(out, image)
            case "":
                for index, image in enumerate(shown):
                    write_png(out / f"{index:06d}.png", image)
            case _:
                raise ValueError(f"{out}: expected .mp4, .gif, .png or a folder")
