"""``avatar evaluate``: how good an avatar is, in figures and pictures."""

from dataclasses import dataclass
from pathlib import Path

import torch

from avatar.checkpoint import load_avatar, newest_checkpoint
from avatar.evaluate import ImageResult, Report, evaluate
from avatar.evaluate.protocol import RenderFrame, pose_and_camera
from avatar.model import Avatar
from avatar.render import Device, RenderConfig, render
from avatar.runs import capture_for, is_own
from avatar.structs import Capture, Frame, Rendering

from .console import progress, say
from .device import use_device
from .diagnosis import diagnose_splits
from .page import print_means, write_page
from .protocol import ProtocolName, judge_run, pictures_of
from .sources import with_part
from .surfaces import surface_of_frames, with_surfaces


@dataclass(frozen=True, kw_only=True)
class EvaluateCommand:
    """Measure an avatar on the pictures of a split, and write the run's report.

    The report, report/index.html in the run folder, shows every split evaluated so far.

    Example: avatar evaluate --run runs/dancer --capture data/samples/dancer --split test_novel_view

    Attributes:
        run: folder of the fit.
        capture: folder of the capture.
        split: the pictures to compare with.
        frames: of other time steps instead, from:to without the last, or a single one.
        cameras: of the cameras of this split instead.
        device: where to render: cpu, or cuda with the extra of that name installed.
        json: also write the figures to this file.
        protocol: measure by this published protocol instead, on its cameras and time steps, and print the figures under
            the published ones; --split, --frames and --cameras are then its own.
        diagnose: also look for what keeps the avatar from being sharper: cameras, masks, colours, poses, cloth.
    """

    run: Path
    capture: Path
    split: str = "test_novel_view"
    frames: str | None = None
    cameras: str | None = None
    device: Device = "cpu"
    json: Path | None = None
    protocol: ProtocolName | None = None
    diagnose: bool = True


def run(config: EvaluateCommand) -> None:
    """Measure, keep the figures in the run folder, write the report, print the means."""
    use_device(config.device)
    look = RenderConfig(backend=config.device)
    avatar = load_avatar(newest_checkpoint(config.run), config.device).eval()
    if config.protocol:
        capture = capture_for(avatar, config.capture, pictures=pictures_of(config.protocol))
        judge_run(config.run, config.protocol, capture, view_of(avatar, is_own(config.run, capture), look))
        return
    capture, split = with_part(
        capture_for(avatar, config.capture, config.split), config.split, config.frames, config.cameras
    )
    knows_frames = is_own(config.run, capture)
    view = view_of(avatar, knows_frames, look)
    report = measured(capture, split, view)
    report = with_surfaces(report, capture, surface_of_frames(avatar, capture, knows_frames))
    report.write(config.run / "evaluation" / f"{split}.json")
    if config.json:
        report.write(config.json)
    if config.diagnose:
        diagnose_splits(config.run, avatar, capture, split, view)
    index = write_page(config.run, avatar, capture, view, look)
    print_means(report)
    say(f"Report: {index}")


def view_of(avatar: Avatar, knows_frames: bool, look: RenderConfig) -> RenderFrame:
    """How the avatar looks in a frame; what it learnt of single frames counts where it ``knows_frames``."""

    @torch.no_grad()
    def view(frame: Frame) -> Rendering:
        pose, camera = pose_and_camera(frame, knows_frames)
        scene = avatar.posed(pose.to(avatar.device), camera)
        return avatar.exposed(render(scene, frame.camera.to(avatar.device), look), camera)

    return view


def measured(capture: Capture, split: str, view: RenderFrame) -> Report:
    """The figures of a split, with a progress bar."""
    with progress() as bar:
        task = bar.add_task(f"evaluate {split}", total=len(capture.split(split)), detail="")

        def show(result: ImageResult) -> None:
            bar.update(task, advance=1, detail=f"{result.metrics['psnr'] or 0:.2f} dB")

        return evaluate(capture, split, view, on_image=show)
