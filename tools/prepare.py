"""``avatar prepare``: raw videos become a capture."""

from dataclasses import dataclass
from pathlib import Path

from rich.progress import Progress, TaskID
from tyro.conf import FlagCreatePairsOff

from avatar.prepare import BoardPictures, Findings, MonocularConfig, PrepareConfig, Refine, open_folder, prepare
from avatar.prepare.boards import parse_board

from .console import progress, say
from .parse import time_steps

STAGES = {
    "videos": "videos",
    "landmarks": "landmarks",
    "clocks": "clocks",
    "cameras": "cameras",
    "lenses": "lenses",
    "boards": "boards",
    "pictures": "pictures and masks",
    "outlines": "cameras by outlines",
    "body": "body",
    "report": "report",
}


@dataclass(frozen=True, kw_only=True)
class PrepareCommand:
    """Make a capture of videos of one person by synchronised, calibrated cameras, or of one video alone.

    Needs the landmark models: avatar assets fetch pose. Stopped at any moment, the same command goes on from there;
    with other options, it makes anew what they change.

    Example: avatar prepare --videos take1 --calibration take1/Calib.toml --out captures/take1 --max-height 960

    Example: avatar prepare --videos phone.mp4 --out captures/phone --fov 63 --height 1.82

    And then: avatar fit hybrid --capture captures/take1 --run runs/take1

    Attributes:
        videos: a folder with one video a camera, or one folder of pictures a camera, called like the cameras.
        calibration: intri.yml with extri.yml, another *.yml, *.qca.txt, *.toml, transforms.json, cameras.json,
            annots.npy, or a folder with intri.yml and extri.yml or COLMAP's cameras and images. One video does without,
            and of its calibration the lens alone is used.
        out: folder of the capture, new or of the same videos.
        fov: field of view of the only camera in degrees across the longer side of its picture; by default what the
            video records, or an estimate.
        height: of the person in metres, which one camera cannot tell.
        fps: pictures a second, for folders of pictures.
        frames: frames of each video to use, from:to without the last.
        unit_m: the calibration's unit in metres where its file does not say: 0.001 for millimetres.
        rate: time steps a second; by default those of the slowest video.
        stride: keep every so many time steps.
        max_height: rows of the pictures that are written; larger ones are scaled down, and fits are quicker.
        refine_cameras: move the cameras by the landmarks: auto, where they are plainly wrong; always; never.
        person: whom to follow of several people: 2 for the second largest, or who is at a point, camera:picture:x,y.
        boards: a folder of pictures, or a video, of a board for each camera, to check the calibration with.
        board: what board it is, see avatar calibrate.
        overwrite: delete what was prepared in the folder, and begin anew.
    """

    videos: Path
    out: Path
    calibration: Path | None = None
    fov: float | None = None
    height: float = 1.7
    fps: float | None = None
    frames: str = "0:"
    unit_m: float | None = None
    rate: float | None = None
    stride: int = 1
    max_height: int | None = None
    refine_cameras: Refine = "auto"
    person: str = "1"
    boards: Path | None = None
    board: str | None = None
    overwrite: FlagCreatePairsOff[bool] = False


def run(config: PrepareCommand) -> None:
    """Prepare until done or Ctrl-C."""
    what = PrepareConfig(
        videos=config.videos,
        calibration=config.calibration,
        pictures_hz=config.fps,
        frames=time_steps(config.frames),
        unit_m=config.unit_m,
        rate_hz=config.rate,
        stride=config.stride,
        max_height=config.max_height,
        refine=config.refine_cameras,
        person=config.person,
        one_camera=MonocularConfig(fov_degrees=config.fov, height_m=config.height),
    )
    boards = _boards(config)
    open_folder(config.out, config.videos, overwrite=config.overwrite)
    with progress() as bar:
        findings = prepare(what, config.out, notify=_Shown(bar), boards=boards)
    _say(findings, config.out)


def _boards(config: PrepareCommand) -> BoardPictures | None:
    if config.boards is None and config.board is None:
        return None
    if config.boards is None or config.board is None or config.calibration is None:
        given = f"--boards {config.boards} --board {config.board} --calibration {config.calibration}"
        raise ValueError(f"{given}: give all three, such as --board checkerboard:7x4:60, to check the calibration")
    return BoardPictures(folder=config.boards, board=parse_board(config.board))


class _Shown:
    """A bar for every stage."""

    def __init__(self, bar: Progress) -> None:
        self.bar = bar
        self.tasks: dict[str, TaskID] = {}

    def __call__(self, stage: str, done: int, total: int, detail: str) -> None:
        if stage not in self.tasks:
            self.tasks[stage] = self.bar.add_task(STAGES[stage], total=total, detail="")
        self.bar.update(self.tasks[stage], completed=done, total=total, detail=detail)


def _say(findings: Findings, folder: Path) -> None:
    for camera in findings.cameras:
        is_alone = camera.after_px != camera.after_px
        residual = "alone" if is_alone else f"{camera.offset_s:+.3f} s, landmarks within {camera.after_px:.1f} px"
        say(f"{camera.name}: {camera.video}, {residual}")
    for warning in findings.warnings:
        say(f"! {warning}")
    say(f"{folder}: {len(findings.points_world)} time steps of {len(findings.cameras)} cameras")
    say(f"Report: {folder / 'report' / 'index.html'}")
    say(f"Next: avatar fit hybrid --capture {folder} --run runs/{findings.name}")
