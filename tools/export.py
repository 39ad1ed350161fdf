"""``avatar export``: an avatar for other programs."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch

from avatar import __version__
from avatar.checkpoint import load_avatar, load_hybrid
from avatar.export import to_viewer_axes, write_obj, write_ply
from avatar.geometry import split_long_edges
from avatar.runs import capture_for, chosen_motion
from avatar.structs import Gaussians, Mesh

from .console import say
from .sources import rest_pose
from .surfaces import posed_surface


@dataclass(frozen=True, kw_only=True)
class ExportCommand:
    """Write an avatar in one pose, for other programs.

    As 3D Gaussians that splat viewers open (.ply, y down, z forward), or as the mesh of body, clothes and hair with
    colours and normals (.obj, y up). A radiance field has no Gaussians; its mesh is closed.

    Example: avatar export --run runs/dancer --out dancer.ply --frame 12

    Attributes:
        run: folder of the fit.
        out: the file; its name ends in the format.
        format: ply for Gaussians, obj for the clothed mesh.
        cell_m: edge of the cells in which the surface of a radiance field is found, metres; 0.003 or more.
        longest_edge_m: split edges of the clothed mesh that are longer, metres, as in loose cloth; 0.001 or more.
        frame: time step whose pose to take; by default the body at rest.
        poses: folder of a capture whose poses to take; by default those the avatar was fitted to.
    """

    run: Path
    out: Path
    format: Literal["ply", "obj"] = "ply"
    cell_m: float = 0.006
    longest_edge_m: float | None = None
    frame: int | None = None
    poses: Path | None = None


@torch.no_grad()
def run(config: ExportCommand) -> None:
    """Pose, turn to the axes of viewers, write."""
    check(config)
    avatar = (load_hybrid(config.run) if config.format == "ply" else load_avatar(config.run)).eval()
    pose = rest_pose(avatar)
    if config.frame is not None:
        capture = capture_for(avatar, config.poses) if config.poses else None
        motion = chosen_motion(avatar, config.run, capture)
        pose = motion.part(config.frame, config.frame + 1).captured()[0]
    comments = [f"avatar {__version__}"]
    match config.format:
        case "ply":
            scene = avatar.posed(pose)
            assert isinstance(scene, Gaussians)
            write_ply(config.out, to_viewer_axes(scene), comments)
            say(f"Wrote {config.out}: {len(scene.means):,} Gaussians")
        case "obj":
            mesh = posed_surface(avatar, pose, config.cell_m)
            if config.longest_edge_m is not None:
                mesh = with_short_edges(mesh, config.longest_edge_m)
            write_obj(config.out, mesh, comments)
            say(f"Wrote {config.out}: {len(mesh.faces):,} triangles")


def check(config: ExportCommand) -> None:
    """ValueError where options do not fit each other."""
    if config.out.suffix != f".{config.format}":
        raise ValueError(f"{config.out}: expected a name that ends in .{config.format}, or another --format")
    if config.longest_edge_m is not None and not (config.longest_edge_m >= 1e-3 and config.format == "obj"):
        raise ValueError("--longest-edge-m: expected 0.001 or more, with --format obj")
    if not config.cell_m >= 3e-3:
        raise ValueError(f"--cell-m: expected 0.003 or more, got {config.cell_m}")
    if config.poses and config.frame is None:
        raise ValueError("--poses: expected --frame as well, the time step whose pose to take")


def with_short_edges(mesh: Mesh, longest_m: float) -> Mesh:
    """The same surface with edges of at most ``longest_m`` metres; colours go along."""
    assert mesh.colors is not None
    vertices, faces, colors = split_long_edges(mesh.vertices, mesh.faces, mesh.colors, longest_m)
    return Mesh(vertices=vertices, faces=faces, colors=colors)
