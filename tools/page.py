"""What an evaluation found: a page of all splits with a film of the avatar, and a table of one split."""

from collections.abc import Callable
from pathlib import Path

import torch
from jaxtyping import Float
from rich.table import Table
from torch import Tensor

from avatar.canonical import clothed_surface
from avatar.checkpoint import newest_checkpoint
from avatar.engine import compiled_variant
from avatar.evaluate import Report, collect_examples, with_details, write_report
from avatar.evaluate.protocol import RenderFrame, pose_and_camera
from avatar.evaluate.report import COLUMNS
from avatar.evaluate.surface_page import SURFACE_COLUMNS
from avatar.export import write_video
from avatar.model import AnyAvatar, Avatar, FieldAvatar, HybridAvatar
from avatar.render import RenderConfig, normal_map
from avatar.runs import fitted_motion, is_own, read_record
from avatar.structs import Capture, Frame
from avatar.train import read_events

from .console import console
from .diagnosis import PREFIX, stored_findings
from .surfaces import surface_of_frames, with_surface_picture
from .views import orbit_around, pictures

FILM_FRAMES, FILM_FPS, FILM_SIZE_PX = 72, 15.0, (640, 480)


def write_page(run: Path, avatar: AnyAvatar, capture: Capture, view: RenderFrame, look: RenderConfig) -> Path:
    """Write ``report/index.html`` of a run, and return its path; evaluations of older checkpoints are left out."""
    since = newest_checkpoint(run).stat().st_mtime
    stored = [
        path
        for path in (run / "evaluation").glob("*.json")
        if path.stat().st_mtime >= since and not path.name.startswith(PREFIX)
    ]
    order = [*capture.splits, *sorted(path.stem for path in stored)]
    reports = [Report.read(path) for path in sorted(stored, key=lambda path: order.index(path.stem))]
    mesh_of = surface_of_frames(avatar, capture, is_own(run, capture))
    reports = [with_surface_picture(report, capture, mesh_of) for report in reports]
    draw_normals = normals_of(avatar, is_own(run, capture)) if isinstance(avatar, HybridAvatar) else None
    examples = [
        example
        for report in reports
        if report.subject == capture.name and report.split in capture.splits
        for example in with_details(avatar, capture, collect_examples(capture, report, view, 6, draw_normals))
    ]
    film = run / "report" / "turntable.mp4"
    if not film.is_file() or film.stat().st_mtime < since:
        write_turntable(film, avatar, run, look)
    return write_report(
        run / "report",
        subject=capture.name,
        reports=reports,
        facts=facts(run, avatar),
        examples=examples,
        events=read_events(run / "events.jsonl"),
        turntable=film,
        findings=stored_findings(run, avatar, capture),
    )


def normals_of(avatar: HybridAvatar, knows_frames: bool) -> Callable[[Frame], Float[Tensor, "h w 3"]]:
    """How the avatar's clothed surface lies in a frame; what it learnt of single frames counts as in ``view_of``."""
    surface = clothed_surface(avatar.canonical)

    def draw(frame: Frame) -> Float[Tensor, "h w 3"]:
        pose, camera = pose_and_camera(frame, knows_frames)
        mesh = avatar.clothed_mesh(pose.to(avatar.device), surface, camera)
        return normal_map(mesh, frame.camera.to(avatar.device))

    return draw


def write_turntable(path: Path, avatar: Avatar, run: Path, look: RenderConfig) -> None:
    """Film the avatar moving as it did in the capture while the camera goes around it."""
    poses = fitted_motion(avatar, run).resampled(FILM_FPS, FILM_FRAMES)
    cameras = orbit_around(avatar, poses, *FILM_SIZE_PX)
    write_video(path, pictures(avatar, poses, cameras, look), FILM_FPS)


def facts(run: Path, avatar: AnyAvatar) -> dict[str, str]:
    """What the head of the page says about the fit."""
    record, events = read_record(run), read_events(run / "events.jsonl")
    match avatar:
        case HybridAvatar():
            made_of = {"Gaussians": f"{avatar.canonical.num_gaussians:,}"}
        case FieldAvatar():
            made_of = {"rows of the hash grid": f"{len(avatar.canonical.table):,}"}
    lines = {**made_of, "engine": _engine(avatar)}
    if record:
        lines |= {"recipe": record.recipe, "fitted to": f"{record.capture} / {record.split}", "seed": str(record.seed)}
    if events:
        lines["training"] = f"{events[-1]['step']:,} steps in {events[-1]['seconds']:.0f} s"
    return lines


def _engine(avatar: Avatar) -> str:
    """What rendered it."""
    on_cuda = avatar.device.type == "cuda"
    return torch.cuda.get_device_name(avatar.device) if on_cuda else compiled_variant() or "plain torch"


def print_means(report: Report) -> None:
    """A table of the figures."""
    table = Table(
        "", f"{report.split}", "", title=f"{report.subject}, {len(report.images)} images", title_justify="left"
    )
    means = [(column, report.mean(metric)) for metric, column in COLUMNS.items()]
    if report.surface:
        means += [(column, report.surface.mean(metric)) for metric, column in SURFACE_COLUMNS.items()]
    for (name, decimals, better, meaning), mean in means:
        table.add_row(f"{name} {better}", "-" if mean is None else f"{mean:.{decimals}f}", meaning)
    table.add_row("time", f"{report.seconds_per_image:.4f}", "seconds to render one image")
    console.print(table)
