"""From raw synchronised videos to a capture on disk."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from avatar.capture import PictureConfig
from avatar.capture.calibration import Calibration
from avatar.capture.camera_files import read_calibrations
from avatar.captures import open_capture
from avatar.structs import Camera

from .advice import advise
from .board_notes import BoardPictures, board_notes
from .body_fit import fit_body
from .capture_files import write_prepared
from .findings_file import write_findings
from .landmarks import LandmarkConfig, Landmarker
from .masks import MaskConfig
from .match import folder_name, match_cameras
from .monocular import MonocularConfig
from .observations import CameraFindings, Findings, FittedBody, Observations
from .one_camera import find_lens, place_camera, uncalibrated
from .one_person import wanted_person
from .pictures import MOVING, Shot
from .report import write_report
from .settle import settle_cameras
from .solve import Refine, Rig
from .sources import Source, find_sources
from .stages import (
    FOLDER,
    Fit,
    Notify,
    Told,
    View,
    Work,
    check_lenses,
    choose_person,
    find_everybody,
    fit_person,
    mask_loader,
    observe,
    set_clocks,
    solve_cameras,
    survey_videos,
    write_shots,
)
from .stored import Arrays
from .timeline import Timeline, time_lost
from .triangulate import bone_lengths
from .world import house_turn

FINDINGS = "findings.json"
HIDDEN = 0.5  # share of the person behind which the scene is never seen
REPORT = "report"


@dataclass(frozen=True, kw_only=True)
class PrepareConfig:
    """What a capture is made of, and how.

    Attributes:
        videos: a folder with a video, or a folder of pictures, for each camera; or one of these alone.
        calibration: any file or folder of ``avatar.capture.camera_files``; of one camera the lens alone is used, and
            None will do.
        pictures_hz: pictures a second, for folders of pictures.
        frames: the frames of each video to use: the first, and the one after the last or None.
        unit_m: the unit of the calibration in metres, where its file does not say.
        rate_hz: time steps a second; by default those of the slowest video.
        stride: keep every so many time steps.
        max_height: pictures are scaled down to so many rows; None leaves them.
        refine: whether the landmarks may move the cameras.
        person: of several people the one to follow, see ``wanted_person``; by default the largest.
        landmarks: how the person is found.
        one_camera: what is known of the only camera.
    """

    videos: Path
    calibration: Path | None = None
    pictures_hz: float | None = None
    frames: tuple[int, int | None] = (0, None)
    unit_m: float | None = None
    rate_hz: float | None = None
    stride: int = 1
    max_height: int | None = None
    refine: Refine = "auto"
    person: str = "1"
    landmarks: LandmarkConfig = field(default_factory=LandmarkConfig)
    one_camera: MonocularConfig = field(default_factory=MonocularConfig)

    def __post_init__(self) -> None:
        for name in ("pictures_hz", "unit_m", "rate_hz", "stride", "max_height"):
            value = getattr(self, name)
            if value is not None and not 0 < value < np.inf:
                raise ValueError(f"PrepareConfig.{name}: expected more than 0, got {value}")
        first, stop = self.frames
        if first < 0 or (stop is not None and stop <= first):
            raise ValueError(f"PrepareConfig.frames: expected 0 <= first < stop, got {first}, {stop}")


def _fit_body(observations: Observations, told: Told) -> FittedBody:
    return fit_body(observations, None, told)


def prepare(
    config: PrepareConfig,
    folder: Path,
    *,
    notify: Notify = lambda stage, done, total, detail: None,
    make_landmarker: Callable[[LandmarkConfig], Landmarker] = Landmarker,
    fit: Fit = _fit_body,
    boards: BoardPictures | None = None,
) -> Findings:
    """Write the capture of the person in ``config.videos`` to ``folder``; gives what was found out on the way.

    Stopped at any moment, the same call goes on where it was; with another config, from the first stage that changes.
    ``boards`` are asked about the calibration. Raises ValueError, FileNotFoundError or ImportError that say what to do.
    """
    work, name = Work(folder=folder, notify=notify), folder.resolve().name
    pairs, noticed = _cameras_of(config)
    views, of_people = _views(work, config, pairs, make_landmarker)
    noticed = [*noticed, *of_people]
    cameras = [view.camera(config.max_height) for view in views]
    timeline = set_clocks(work, views, cameras, config.rate_hz, config.stride)
    noticed += time_lost([each.name for each in cameras], [each.footage.times_s for each in views], timeline.offsets_s)
    seen = observe(views, cameras, timeline)
    if len(cameras) > 1:
        rig = solve_cameras(work, cameras, seen, config.refine, config.calibration or config.videos)
    else:
        rig = place_camera(work, views[0], cameras[0], seen, timeline.rate_hz, config.one_camera)
    seen, cameras = rig.corrected(seen), rig.cameras(cameras)
    shots = [_shot(view, cameras[i], timeline.rows[:, i]) for i, view in enumerate(views)]
    of_lenses = [
        *check_lenses(work, shots),
        *(board_notes(work, boards, [lens for _, lens in pairs]) if boards else ()),
    ]
    written = write_shots(work, shots, MaskConfig())
    observations = Observations(
        cameras=cameras,
        frame_rate_hz=timeline.rate_hz,
        points_px=seen.points_px,
        confidences=seen.confidences,
        points_world=rig.points_world,
        point_confidences=rig.point_confidences,
        guesses_m=seen.guesses_m,
        load_mask=mask_loader(folder, cameras, shots),
        height_m=config.one_camera.height_m if len(cameras) == 1 else None,
    )
    rig, observations = settle_cameras(work, rig, seen, observations, written, fit)
    fitted = fit_person(work, observations, written, fit)
    exists = np.stack([shot.has_person for shot in shots], axis=1)
    write_prepared(folder, name, observations.cameras, fitted, timeline.rate_hz, exists)
    told = _camera_findings(views, shots, timeline, replace(rig, doubts=(*rig.doubts, *of_lenses)), written)
    findings = _findings(name, told, timeline, rig, written, fitted)
    warnings = advise(findings, [camera.height for camera in cameras], [*noticed, *_of_all(of_lenses, shots)])
    findings = replace(findings, warnings=warnings)
    write_findings(folder / FOLDER / FINDINGS, findings)
    notify("report", 0, 1, "")
    capture = open_capture(folder, pictures=PictureConfig(keep_background=True))
    notify("report", 1, 1, str(write_report(findings, capture, folder / REPORT, observations)))
    return findings


def _views(
    work: Work,
    config: PrepareConfig,
    pairs: Sequence[tuple[Source, Calibration]],
    make_landmarker: Callable[[LandmarkConfig], Landmarker],
) -> tuple[list[View], list[str]]:
    """The cameras that see the person, who is found and followed in each; and what was noticed."""
    wanted = wanted_person(config.person)
    views = find_everybody(work, pairs, survey_videos(work, pairs), config.landmarks, make_landmarker)
    views, unseen = _with_person(views, config.videos)
    views, one = choose_person(views, [view.camera(config.max_height) for view in views], wanted)
    views, absent = _with_person(views, config.videos)
    noticed = [*unseen, *absent]
    if one.num_people > 1:
        noticed.append(f"{one.num_people} people were found; if the largest is not the one, choose with --person.")
    if config.calibration is None:
        views[0], of_lens = find_lens(work, views[0], config.one_camera)
        noticed += of_lens
    return views, noticed


def _of_all(sentences: Sequence[str], shots: Sequence[Shot]) -> list[str]:
    """Those that are not of one camera, which are among its notes."""
    return [text for text in sentences if not text.startswith(tuple(f"{shot.name}: " for shot in shots))]


def _cameras_of(config: PrepareConfig) -> tuple[list[tuple[Source, Calibration]], tuple[str, ...]]:
    """Videos with their calibrated cameras, in a z-up world, called so that folders can be; and what was noticed."""
    sources = find_sources(config.videos, config.pictures_hz, *config.frames)
    if config.calibration is None:
        if len(sources) > 1:
            raise ValueError(
                f"{config.videos}: several videos, no calibration; give the file that says where cameras stand"
            )
        return [(sources[0], uncalibrated(sources[0]))], ()
    match = match_cameras(sources, read_calibrations(config.calibration, config.unit_m))
    turn = house_turn([calibration for _, calibration in match.pairs], config.calibration)
    names = [folder_name(calibration) for _, calibration in match.pairs]
    if len(set(names)) < len(names):
        raise ValueError(f"{config.calibration}: two cameras are called {max(names, key=names.count)!r}; rename one")
    turned = [
        (source, replace(calibration.turned(turn), name=name))
        for (source, calibration), name in zip(match.pairs, names, strict=True)
    ]
    return turned, match.warnings


def _with_person(views: Sequence[View], where: Path) -> tuple[list[View], list[str]]:
    """The cameras in which somebody was found, and a sentence on each other. ValueError where too few are left."""
    seen = [view for view in views if view.has_person]
    if len(seen) < min(2, len(views)):
        names = ", ".join(view.source.name for view in seen) or "no video"
        raise ValueError(f"{where}: somebody was found in {names}; two cameras must see the person, whole and near")
    who = {True: "only others were", False: "nobody was"}
    unseen = [(view.calibration.name, who[view.sightings.num_tracks > 0]) for view in views if not view.has_person]
    return seen, [f"{name}: {others} found in its video; the camera was left out." for name, others in unseen]


def _shot(view: View, camera: Camera, rows: np.ndarray) -> Shot:
    return Shot(
        source=view.source,
        sightings=view.sightings,
        person=view.person,
        frame_ids=view.footage.frame_ids,
        rows=rows,
        calibration=view.calibration,
        size=(camera.height, camera.width),
        name=camera.name,
    )


def _camera_findings(
    views: Sequence[View], shots: Sequence[Shot], timeline: Timeline, rig: Rig, written: Sequence[Arrays]
) -> tuple[CameraFindings, ...]:
    found = []
    for i, (view, shot) in enumerate(zip(views, shots, strict=True)):
        is_missing = shot.rows < 0
        notes = [] if view.footage.letterbox.is_identity else [str(view.footage.letterbox)]
        hidden, unrest = float(written[i]["hidden"]), float(written[i]["unrest"])
        if hidden > HIDDEN and unrest <= MOVING:
            text = "of the scene behind the person is never seen, which makes masks worse; let the person walk about."
            notes.append(f"{hidden:.0%} {text}")
        notes += [doubt for doubt in rig.doubts if doubt.startswith(f"{shot.name}: ")]
        found.append(
            CameraFindings(
                name=shot.name,
                video=view.source.path.name,
                offset_s=float(timeline.offsets_s[i]),
                sync_confidence=float(timeline.confidences[i]),
                missing=int(is_missing.sum()),
                unseen=int((~shot.has_person & ~is_missing).sum()),
                before_px=float(rig.before_px[i]),
                after_px=float(rig.after_px[i]),
                unrest=unrest,
                notes=tuple(notes),
            )
        )
    return tuple(found)


def _findings(
    name: str,
    cameras: tuple[CameraFindings, ...],
    timeline: Timeline,
    rig: Rig,
    written: Sequence[Arrays],
    fitted: FittedBody,
) -> Findings:
    return Findings(
        name=name,
        frame_rate_hz=timeline.rate_hz,
        cameras=cameras,
        signals=timeline.signals,
        points_world=rig.points_world,
        residuals_px=_nanmedian(rig.residuals_px),
        fit_residuals_px=_nanmedian(fitted.residuals_px),
        disagreements=torch.from_numpy(np.stack([each["disagreements"] for each in written], axis=1)),
        overlaps=fitted.overlaps,
        bones=tuple(bone_lengths(rig.points_world)) if len(cameras) > 1 else (),
        is_refined=rig.is_refined,
        warnings=(),
    )


def _nanmedian(residuals_px: Tensor) -> Tensor:
    return residuals_px.nanmedian(dim=-1).values
