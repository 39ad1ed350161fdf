"""The surfaces of an avatar beside the true ones of a capture, where these are known."""

from collections.abc import Callable
from dataclasses import replace

import torch

from avatar.evaluate import Report, SurfaceResult, evaluate_surface, with_picture
from avatar.model import AnyAvatar, FieldAvatar, HybridAvatar
from avatar.render import surface_of
from avatar.structs import Capture, Mesh, Pose

from .console import progress

MeshOf = Callable[[int], Mesh]


def posed_surface(avatar: AnyAvatar, pose: Pose, cell_m: float = 0.006) -> Mesh:
    """The avatar's coloured surface in a pose, world metres; of a field found in cells of ``cell_m``."""
    match avatar:
        case HybridAvatar():
            return avatar.clothed_mesh(pose)
        case FieldAvatar():
            return surface_of(avatar.posed(pose), cell_m)


def surface_of_frames(avatar: AnyAvatar, capture: Capture, knows_frames: bool) -> MeshOf:
    """The avatar's surface in the pose of a frame; what it learnt of the frame counts as in ``view_of``."""

    @torch.no_grad()
    def mesh_of(frame_id: int) -> Mesh:
        pose = capture.pose(frame_id) if knows_frames else capture.poses[frame_id]
        return posed_surface(avatar, pose.to(avatar.device))

    return mesh_of


def with_surfaces(report: Report, capture: Capture, mesh_of: MeshOf) -> Report:
    """The report of a split with the figures of its frames' surfaces; a progress bar shows where there are any."""
    frame_ids = capture.split(report.split).frame_ids
    with progress() as bar:
        task = bar.add_task(f"surfaces {report.split}", total=len(frame_ids), detail="", visible=False)

        def show(result: SurfaceResult) -> None:
            bar.update(task, advance=1, visible=True, detail=f"{result.metrics['chamfer_mm'] or 0:.1f} mm")

        return replace(report, surface=evaluate_surface(capture, frame_ids, mesh_of, on_frame=show))


def with_surface_picture(report: Report, capture: Capture, mesh_of: MeshOf) -> Report:
    """The same with a picture of the surface, if it is of this capture and has figures of surfaces."""
    if report.surface is None or report.subject != capture.name:
        return report
    return replace(report, surface=with_picture(report.surface, capture, mesh_of))
