"""``avatar export``: an avatar for other programs."""

from functools import partial
from pathlib import Path

import torch

from avatar import __version__
from avatar.checkpoint import load_avatar, load_hybrid
from avatar.model import AnyAvatar
from avatar.runs import capture_for, read_record
from avatar.structs import Motion, Pose

from .export_command import ExportCommand
from .export_files import write_film, write_gaussians, write_poses, write_rigged, write_surface
from .motion_file import wanted_motion
from .one_file import write_one_file
from .parse import time_steps
from .sources import rest_pose


@torch.no_grad()
def run(config: ExportCommand) -> None:
    """Load, pose, write."""
    config.check()
    source = source_of(config.run)
    match config.kind:
        case "html":
            avatar = load_hybrid(config.run).eval()
            write_one_file(config, avatar, motion_of(config, avatar))
        case "mp4" | "gif":
            avatar = load_avatar(config.run).eval()
            write_film(config, avatar, motion_of(config, avatar))
        case "obj":
            avatar = load_avatar(config.run).eval()
            write_poses(config, poses_of(config, avatar), partial(write_surface, config, avatar, source))
        case "glb" | "usd" if not config.splats:
            avatar = load_hybrid(config.run).eval()
            write_rigged(config, avatar, motion_of(config, avatar), source)
        case "ply" | "spz" | "glb" | "usd":
            avatar = load_hybrid(config.run).eval()
            write_poses(config, poses_of(config, avatar), partial(write_gaussians, config, avatar, source))


def motion_of(config: ExportCommand, avatar: AnyAvatar) -> Motion:
    """The poses asked for."""
    capture = capture_for(avatar, config.poses) if config.poses else None
    motion = wanted_motion(avatar, config.run, capture, config.motion, config.fps)
    return motion.part(*time_steps(config.frames or ":"))


def poses_of(config: ExportCommand, avatar: AnyAvatar) -> dict[str, Pose]:
    """The poses to write one by one, by what to call them: the body at rest where none is asked for."""
    if config.is_at_rest:
        return {"rest": rest_pose(avatar)}
    motion = motion_of(config, avatar)
    return {f"{frame:06d}": pose for frame, pose in zip(motion.frame_ids, motion.captured(), strict=True)}


def source_of(run: Path) -> str:
    """What a file says of where it comes from."""
    record = read_record(run)
    return f"avatar {__version__}, {run.resolve().name}" + (f", fitted to {record.capture}" if record else "")
