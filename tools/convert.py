"""``avatar convert``: a capture in another layout, with another body, or a part of it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from avatar.atomic import check_empty
from avatar.body import load_body
from avatar.body_conversion import converted_capture
from avatar.capture import ZJU_RIG, PictureConfig, PictureLoader, selected, write_capture
from avatar.captures import open_capture, write_zju_capture
from avatar.structs import Capture

from .console import progress, say, use_all_cores
from .parse import time_steps

Layout = Literal["avatar", "zju"]


@dataclass(frozen=True, kw_only=True)
class ConvertCommand:
    """Write a capture in another layout, with another body, or a part of it.

    Reads every set that ``avatar fit`` reads. What is written is upright, in metres, free of distortion, and numbered
    from zero; pictures are copied as they are, or stored as PNG where a lens had to be undone. Stopped at any moment,
    nothing is left behind.

    Examples: avatar convert --capture data/CoreView_377 --out data/anna --frames 0:100 --rig anny
    and avatar convert --capture data/anna --out data/anna_zju --layout zju --rig smpl_neutral

    Attributes:
        capture: folder of the capture.
        out: a new or empty folder.
        layout: avatar, our own, without pickles; zju, that of ZJU-MoCap as NeuralBody, GauHuman and their relatives
            read it: annots.npy, Camera_B1 and so on, masks, body vertices, and SMPL's poses for --rig smpl_neutral.
        rig: the body to have instead: anny, cmu_mb, or one that you brought by ``avatar assets add-body``, such as
            smpl_neutral or smplx_neutral. It is fitted to the one there is, and its distance from that told.
        split: the time steps and cameras of this split alone.
        frames: these time steps alone, from:to without the last, or a single one.
        cameras: the cameras of these names alone.
    """

    capture: Path
    out: Path
    layout: Layout = "avatar"
    rig: str | None = None
    split: str | None = None
    frames: str | None = None
    cameras: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.split and self.frames:
            raise ValueError("avatar convert: expected --split or --frames, got both")


def run(config: ConvertCommand) -> None:
    """Read, fit the other body, write."""
    use_all_cores()
    check_empty(config.out)
    if config.rig:
        load_body(config.rig)
    whole = open_capture(config.capture, pictures=PictureConfig(keep_background=True, cache_bytes=0))
    files = whole.load_frame
    assert isinstance(files, PictureLoader)
    frame_ids, camera_ids = part_of(whole, config)
    every = [(frame, camera) for frame in range(len(frame_ids)) for camera in range(len(camera_ids))]
    pairs = [(frame, camera) for frame, camera in every if files.has(frame_ids[frame], camera_ids[camera])]
    if not pairs:
        raise ValueError(f"{config.capture}: has no picture of these time steps and cameras")
    capture = with_body(selected(whole, frame_ids, camera_ids), config.rig)

    def file_of(frame_id: int, camera_id: int) -> Path | None:
        return files.file_of(frame_ids[frame_id], camera_ids[camera_id])

    with progress() as bar:
        task = bar.add_task(f"write {config.out.name}", total=len(pairs), detail="")
        write = {"avatar": write_capture, "zju": write_zju_capture}[config.layout]
        write(capture, config.out, pairs=pairs, file_of=file_of, on_picture=lambda: bar.advance(task))
    say(
        f"{config.out}: {capture.num_frames} time steps, {len(capture.cameras)} cameras, {len(pairs)} pictures, "
        f"body {capture.rig}"
    )
    if len(pairs) < len(every):
        say(f"{len(every) - len(pairs)} of {len(every)} pictures or their masks are not in {config.capture}")
    if config.layout == "zju" and capture.rig != ZJU_RIG:
        say(f"Without SMPL's poses, which other programs may want; for them add --rig {ZJU_RIG}")


def part_of(capture: Capture, config: ConvertCommand) -> tuple[list[int], list[int]]:
    """The time steps and cameras that are asked for, by their indices. ValueError for some that do not exist."""
    names = [camera.name for camera in capture.cameras]
    frame_ids, camera_ids = list(range(capture.num_frames)), list(range(len(names)))
    if config.split:
        split = capture.split(config.split)
        frame_ids, camera_ids = sorted(split.frame_ids), sorted(split.camera_ids)
    if config.frames:
        first, stop = time_steps(config.frames)
        frame_ids = frame_ids[first:stop]
    if unknown := sorted(set(config.cameras) - set(names)):
        raise ValueError(f"--cameras: no camera {unknown[0]!r}; there are {', '.join(names)}")
    if config.cameras:
        camera_ids = [camera for camera in camera_ids if names[camera] in config.cameras]
    if not frame_ids or not camera_ids:
        raise ValueError(
            f"{config.capture}: nothing left; it has {capture.num_frames} time steps of {len(names)} cameras"
        )
    return frame_ids, camera_ids


def with_body(capture: Capture, rig: str | None) -> Capture:
    """The capture with the body of another rig, whose distance from its own is told."""
    if rig in (None, capture.rig):
        return capture
    with progress() as bar:
        task = bar.add_task(f"{capture.rig} to {rig}", total=capture.num_frames, detail="")
        converted, report = converted_capture(capture, rig, on_poses=lambda count: bar.advance(task, count))
    say(f"{capture.rig} to {rig}: {report.sentence()}")
    return converted
