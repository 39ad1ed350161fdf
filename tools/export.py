"""``avatar export``: an avatar for other programs."""

from dataclasses import dataclass
from pathlib import Path

import torch

from avatar import __version__
from avatar.checkpoint import load_avatar
from avatar.export import to_viewer_axes, write_ply

from .console import say
from .sources import capture_for, chosen_motion, rest_pose


@dataclass(frozen=True, kw_only=True)
class ExportCommand:
    """Write an avatar in one pose as 3D Gaussians that splat viewers open (.ply, y down, z forward).

    Example: avatar export --run runs/dancer --out dancer.ply --frame 12

    Attributes:
        run: folder of the fit.
        out: the .ply file.
        frame: time step whose pose to take; by default the body at rest.
        poses: folder of a capture whose poses to take; by default those the avatar was fitted to.
    """

    run: Path
    out: Path
    frame: int | None = None
    poses: Path | None = None


@torch.no_grad()
def run(config: ExportCommand) -> None:
    """Pose, turn to the axes of viewers, write."""
    if config.out.suffix != ".ply":
        raise ValueError(f"{config.out}: expected a name that ends in .ply")
    if config.poses and config.frame is None:
        raise ValueError("--poses: expected --frame as well, the time step whose pose to take")
    avatar = load_avatar(config.run).eval()
    pose = rest_pose(avatar)
    if config.frame is not None:
        capture = capture_for(avatar, config.poses) if config.poses else None
        motion = chosen_motion(avatar, config.run, capture)
        pose = motion.part(config.frame, config.frame + 1).captured()[0]
    scene = avatar.posed(pose)
    write_ply(config.out, to_viewer_axes(scene), [f"avatar {__version__}"])
    say(f"Wrote {config.out}: {len(scene.means):,} Gaussians")
