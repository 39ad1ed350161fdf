"""The files that ``avatar export`` writes."""

from collections.abc import Callable, Mapping
from pathlib import Path

from avatar.export import (
    joint_motion,
    load_usd,
    rigged_mesh,
    to_viewer_axes,
    to_y_up,
    write_gaussian_glb,
    write_gaussian_usd,
    write_obj,
    write_ply,
    write_rigged_glb,
    write_rigged_usd,
    write_spz,
)
from avatar.geometry import split_long_edges
from avatar.model import AnyAvatar, HybridAvatar
from avatar.render import RenderConfig
from avatar.structs import Mesh, Motion, Pose

from .console import console, progress, say
from .export_command import ExportCommand
from .parse import color
from .surfaces import posed_surface
from .views import orbit_around, pictures, poses_on_film, write_pictures

Writer = Callable[[Path, str, Pose], str]


def write_poses(config: ExportCommand, poses: Mapping[str, Pose], write: Writer) -> None:
    """The one pose as the file ``config.out``, or each as a file in that folder."""
    if config.out.suffix:
        ((name, pose),) = poses.items()
        say(f"Wrote {config.out}: {write(config.out, name, pose)}")
        return
    with progress() as bar:
        for name, pose in bar.track(poses.items(), task_id=bar.add_task("export", total=len(poses), detail="")):
            write(config.out / f"{config.out.name}-{name}.{config.kind}", name, pose)
    say(f"Wrote {len(poses)} files into {config.out}")


def write_gaussians(config: ExportCommand, avatar: HybridAvatar, source: str, path: Path, name: str, pose: Pose) -> str:
    """The Gaussians in one pose, in the axes of the format; gives how many."""
    scene, source = avatar.posed(pose), f"{source}, pose {name}"
    match config.kind:
        case "ply":
            write_ply(path, to_viewer_axes(scene), [source, "metres; x right, y down, z forward; sRGB"])
        case "spz":
            write_spz(path, to_y_up(scene))
        case "usd":
            write_gaussian_usd(path, to_y_up(scene), source)
        case _:
            write_gaussian_glb(path, to_y_up(scene), source)
    return f"{len(scene.means):,} Gaussians"


def write_surface(config: ExportCommand, avatar: AnyAvatar, source: str, path: Path, name: str, pose: Pose) -> str:
    """The clothed mesh, or a field's surface, in one pose; gives how many triangles."""
    mesh = posed_surface(avatar, pose, config.cell_m)
    if config.longest_edge_m is not None:
        mesh = with_short_edges(mesh, config.longest_edge_m)
    write_obj(path, mesh, [f"{source}, pose {name}", "metres; x right, y up, z backward; sRGB after each vertex"])
    return f"{len(mesh.faces):,} triangles"


def with_short_edges(mesh: Mesh, longest_m: float) -> Mesh:
    """The same surface with edges of at most ``longest_m`` metres; colours go along."""
    assert mesh.colors is not None
    vertices, faces, colors = split_long_edges(mesh.vertices, mesh.faces, mesh.colors, longest_m)
    return Mesh(vertices=vertices, faces=faces, colors=colors)


def write_rigged(config: ExportCommand, avatar: HybridAvatar, motion: Motion, source: str) -> None:
    """The textured mesh on its skeleton, and the motion."""
    if config.kind == "usd":
        load_usd()
    with console.status("baking the texture"):
        mesh = rigged_mesh(avatar)
    write = write_rigged_usd if config.kind == "usd" else write_rigged_glb
    write(config.out, mesh, joint_motion(avatar, motion), source)
    say(f"Wrote {config.out}: {len(mesh.faces):,} triangles, {len(mesh.joints)} joints, {len(motion.frame_ids)} poses")


def write_film(config: ExportCommand, avatar: AnyAvatar, motion: Motion) -> None:
    """The motion, or a single pose, on a film that goes once around."""
    poses = poses_on_film(motion, config.fps)
    cameras = orbit_around(avatar, poses, config.size, max(1, 3 * config.size // 4))
    images = pictures(avatar, poses, cameras, RenderConfig(background=color(config.background)))
    write_pictures(config.out, images, len(poses), config.fps or motion.pace_hz)
    say(f"Wrote {config.out}: {len(poses)} pictures")
