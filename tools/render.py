"""``avatar render``: pictures and films of an avatar."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from avatar.captures import open_capture
from avatar.checkpoint import load_avatar
from avatar.model import Avatar
from avatar.render import RenderConfig
from avatar.structs import Camera, Capture, Pose

from .console import say, use_all_cores
from .motion import chosen_motion
from .parse import color, time_steps
from .views import orbit_around, pictures, smooth, write_pictures

ORBIT_FRAMES, ORBIT_HEIGHT_PX = 72, 640


@dataclass(frozen=True, kw_only=True)
class RenderCommand:
    """Film an avatar from new views and in new poses.

    It moves as in the capture it was fitted to, or as in another one given by --poses.

    Examples: avatar render --run runs/dancer --out dancer.mp4
    and avatar render --run runs/dancer --out front --capture data/samples/dancer --path Camera_B1 --frames 0:10

    Attributes:
        run: folder of the fit.
        out: an .mp4 film, one .png picture, or a folder for a .png each.
        path: orbit, once around the person; or the name of a camera of --capture.
        capture: folder of the capture whose camera to look through.
        poses: folder of a capture whose poses move the avatar; by default --capture, else the one it was fitted to.
        frames: time steps of the motion, from:to without the last, or a single one, around which an orbit goes.
        size: height of the pictures in pixels; by default the camera's, or 640 for an orbit.
        background: black, white, or red,green,blue from 0 to 1.
        fps: pictures a second, with poses between the captured ones made up; by default the captured ones alone.
    """

    run: Path
    out: Path
    path: str = "orbit"
    capture: Path | None = None
    poses: Path | None = None
    frames: str = ":"
    size: int | None = None
    background: str = "black"
    fps: float | None = None


def run(config: RenderCommand) -> None:
    """Render and write."""
    use_all_cores()
    look = RenderConfig(background=color(config.background))
    avatar = load_avatar(config.run).eval()
    capture = open_capture(config.capture) if config.capture else None
    source = open_capture(config.poses) if config.poses else capture
    motion = chosen_motion(avatar, config.run, source).part(*time_steps(config.frames))
    poses = smooth(motion, config.fps) if config.fps else motion.captured()
    if config.path == "orbit" and len(poses) == 1:
        poses *= ORBIT_FRAMES
    cameras = chosen_cameras(config, avatar, capture, poses)
    write_pictures(config.out, pictures(avatar, poses, cameras, look), len(poses), config.fps or motion.pace_hz)
    say(f"Wrote {config.out}")


def chosen_cameras(
    config: RenderCommand, avatar: Avatar, capture: Capture | None, poses: Sequence[Pose]
) -> list[Camera]:
    """A camera for each pose. ValueError when there is none of the name, or the size is not positive."""
    if config.size is not None and config.size < 1:
        raise ValueError(f"--size: expected at least 1, got {config.size}")
    if config.path == "orbit":
        height = config.size or ORBIT_HEIGHT_PX
        return orbit_around(avatar, poses, height, max(1, 3 * height // 4))
    if capture is None:
        raise ValueError(f"--path {config.path}: expected orbit, or --capture to say whose camera it is")
    found = [camera for camera in capture.cameras if camera.name == config.path]
    if not found:
        raise ValueError(f"--path: no {config.path!r}; there are orbit, {', '.join(c.name for c in capture.cameras)}")
    factor = config.size / found[0].height if config.size else 1.0
    return [found[0].scaled(factor)] * len(poses)
