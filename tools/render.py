"""``avatar render``: pictures and films of an avatar."""

from dataclasses import dataclass
from pathlib import Path

from avatar.checkpoint import load_avatar
from avatar.render import Device, RenderConfig
from avatar.runs import capture_for

from .console import say
from .device import use_device
from .motion_file import wanted_motion
from .parse import color, time_steps
from .views import named_camera, orbit_around, pictures, poses_on_film, turn_light, write_pictures

ORBIT_HEIGHT_PX = 640


@dataclass(frozen=True, kw_only=True)
class RenderCommand:
    """Film an avatar from new views and in new poses.

    It moves as in the capture it was fitted to, as in another one given by --poses, or as any motion file.

    Examples: avatar render --run runs/dancer --out dancer.mp4
    and avatar render --run runs/dancer --out front --capture data/samples/dancer --path Camera_B1 --frames 0:10

    Attributes:
        run: folder of the fit.
        out: an .mp4 or .gif film, one .png picture, or a folder for a .png each.
        path: orbit, once around the person; or the name of a camera of --capture.
        capture: folder of the capture whose camera to look through.
        poses: folder of a capture whose poses move the avatar; by default --capture, else the one it was fitted to.
        motion: motion file that moves the avatar: BVH, ASF/AMC, AMASS or SMPL-X npz, .smpl, glTF.
        frames: time steps of the motion, from:to without the last, or a single one, around which an orbit goes.
        size: height of the pictures in pixels; by default the camera's, or 640 for an orbit.
        light_deg: turn the light about the vertical, for an avatar that learnt it apart from the body's colours.
        background: black, white, or red,green,blue from 0 to 1.
        device: where: cpu, or cuda with the extra of that name installed.
        fps: pictures a second, with poses between the captured ones made up; by default the captured ones alone.
            Also how fast a motion file is that does not say.
    """

    run: Path
    out: Path
    path: str = "orbit"
    capture: Path | None = None
    poses: Path | None = None
    motion: Path | None = None
    frames: str = ":"
    size: int | None = None
    light_deg: float = 0.0
    background: str = "black"
    device: Device = "cpu"
    fps: float | None = None


def run(config: RenderCommand) -> None:
    """Render and write."""
    for name, value in (("size", config.size), ("fps", config.fps)):
        if value is not None and not value > 0:
            raise ValueError(f"--{name}: expected more than 0, got {value}")
    use_device(config.device)
    look = RenderConfig(backend=config.device, background=color(config.background))
    avatar = load_avatar(config.run, config.device).eval()
    if config.light_deg:
        turn_light(avatar, config.light_deg)
    capture = capture_for(avatar, config.capture) if config.capture else None
    source = capture_for(avatar, config.poses) if config.poses else capture
    motion = wanted_motion(avatar, config.run, source, config.motion, config.fps).part(*time_steps(config.frames))
    poses = poses_on_film(motion, config.fps)
    if config.out.suffix == ".png" or (config.path != "orbit" and len(motion.frame_ids) == 1):
        poses = poses[:1]
    if config.path == "orbit":
        height = config.size or ORBIT_HEIGHT_PX
        cameras = orbit_around(avatar, poses, height, max(1, 3 * height // 4))
    else:
        cameras = [named_camera(capture, config.path, config.size)] * len(poses)
    write_pictures(config.out, pictures(avatar, poses, cameras, look), len(poses), config.fps or motion.pace_hz)
    say(f"Wrote {config.out}")
