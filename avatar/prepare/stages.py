"""The stages of a preparation: what each is made of, how it is told, and where it is kept until that changes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property, partial
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray

from avatar.capture.calibration import Calibration
from avatar.capture.picture_files import read_mask
from avatar.capture.writer import mask_path
from avatar.structs import Camera, Pose, Shape

from .bundle import refine_cameras
from .footage import Counted, Footage, survey
from .landmarks import LandmarkConfig, Landmarker
from .masks import MaskConfig
from .observations import FittedBody, MaskLoader, Observations
from .one_person import OnePerson, PersonAt, first_moments, follow_one
from .people import find_people
from .pictures import Shot, are_written, check_lens, write_pictures
from .sightings import Sightings
from .solve import Refine, Rig, Seen, solve_rig
from .sources import Source
from .stored import KEY, Arrays, key_of, stored
from .straight_edges import EdgeCheck, doubt_distortion
from .timeline import Timeline, compare_clocks, shift_frames
from .undistort import Undistorter

Notify = Callable[[str, int, int, str], None]
"""Told the stage, how much of how much is done, and what it is at."""
Told = Callable[[float, str], None]
"""Told the share that is done, and what is being done."""
Fit = Callable[[Observations, Told], FittedBody]
"""Makes the body of what was seen."""

FOLDER = "prepare"
ROUNDS = 4  # of moving cameras and clocks in turn


@dataclass(frozen=True, kw_only=True, eq=False)
class Work:
    """Where stages are kept, beside the capture in ``folder``, and who is told of them."""

    folder: Path
    notify: Notify

    def path(self, stage: str, name: str) -> Path:
        """The file of a stage, or of one camera's part of it."""
        return self.folder / FOLDER / stage / f"{name}.npz"

    def counting(self, stage: str, before: int, total: int, detail: str) -> Counted:
        """Tells of a stage whose first ``before`` units are done already."""
        return lambda done: self.notify(stage, min(before + done, total), total, detail)


@dataclass(frozen=True, kw_only=True, eq=False)
class View:
    """One camera on its way.

    Attributes:
        source: its video.
        calibration: of the video's own pixels, in a z-up world.
        footage: what is known of the video.
        sightings: everybody in it.
        person: the row of ``sightings`` of the person in each of its frames to use; -1 where not seen.
    """

    source: Source
    calibration: Calibration
    footage: Footage
    sightings: Sightings
    person: Int[ndarray, " f"]

    @property
    def facts(self) -> list[object]:
        """What pictures and masks of the person are made of, for ``key_of``."""
        return [self.source.fingerprint(), self.sightings.soft_masks, self.sightings.regions, self.person]

    @property
    def has_person(self) -> bool:
        """Whether the person was found in any frame."""
        return bool((self.person >= 0).any())

    @cached_property
    def people(self) -> Arrays:
        """The person's landmarks in each frame; NaN and confidence zero where not seen."""
        return self.sightings.followed(self.person)

    def camera(self, max_height: int | None) -> Camera:
        """As calibrated, of undistorted pictures, which have at most so many rows."""
        camera = self.calibration.camera(*self.footage.size)
        return camera.scaled(min(1.0, max_height / camera.height)) if max_height else camera


def survey_videos(work: Work, pairs: Sequence[tuple[Source, Calibration]]) -> list[Footage]:
    """Look through all videos. Raises as ``survey``."""
    found = []
    for i, (source, calibration) in enumerate(pairs):
        key = key_of("videos", source.fingerprint(), list(calibration.size or ()))
        path = work.path("videos", calibration.name)
        found.append(stored(path, key, lambda s=source, c=calibration: survey(s, c), Footage.of))
        work.notify("videos", i + 1, len(pairs), calibration.name)
    return found


def find_everybody(
    work: Work,
    pairs: Sequence[tuple[Source, Calibration]],
    footage: Sequence[Footage],
    config: LandmarkConfig,
    make_landmarker: Callable[[LandmarkConfig], Landmarker],
) -> list[View]:
    """Everybody in every video; any of them as the person.

    The networks are made when a video is to be looked at. Calibrations are brought to the videos' pixels.
    """
    total, done, views = sum(len(each.times_s) for each in footage), 0, []
    landmarker = cache(lambda: make_landmarker(config))
    for (source, calibration), each in zip(pairs, footage, strict=True):
        key = key_of("landmarks", source.fingerprint(), replace(config, num_threads=1))
        path = work.path("landmarks", calibration.name)
        tell = work.counting("landmarks", done, total, calibration.name)
        sightings = stored(path, key, lambda s=source, t=tell: _everybody(s, landmarker(), t), Sightings.of_arrays)
        lens = each.letterbox.apply(calibration, each.size)
        anybody = sightings.table().max(axis=1, initial=-1)
        views.append(View(source=source, calibration=lens, footage=each, sightings=sightings, person=anybody))
        done += len(each.times_s)
        work.notify("landmarks", done, total, calibration.name)
    return views


def choose_person(
    views: Sequence[View], cameras: Sequence[Camera], wanted: int | PersonAt
) -> tuple[list[View], OnePerson]:
    """The wanted person in all videos. Raises as ``first_moments`` and ``follow_one``."""
    points = [straightened(view, camera, view.sightings.points_px) for view, camera in zip(views, cameras, strict=True)]
    sightings = [view.sightings for view in views]
    moments = first_moments(cameras, sightings, points, [view.footage.times_s for view in views])
    one = follow_one(cameras, sightings, points, moments, _within(views, wanted))
    return [replace(view, person=rows) for view, rows in zip(views, one.rows, strict=True)], one


def set_clocks(
    work: Work, views: Sequence[View], cameras: Sequence[Camera], rate_hz: float | None, stride: int
) -> Timeline:
    """The time line of all videos: by motion, then by whole frames, cameras and clocks being set in turn.

    Wrong cameras look like wrong clocks: in the demo of Pose2Sim, whose cameras are off by half a degree, one seems two
    frames late, and none once the cameras have moved. So they move here, for the clocks alone.
    """
    times, points, trust = _motions(views)
    lenses = [[view.calibration.distortion, view.calibration.is_fisheye] for view in views]
    key = key_of("clocks", times, points, trust, camera_facts(cameras), lenses, rate_hz)
    rough = compare_clocks(times, points, trust, rate_hz)

    def settle() -> Arrays:
        settled = rough
        for _ in range(ROUNDS):
            seen = observe(views, cameras, settled)
            if not bool(((seen.confidences > 0).sum(dim=1) > 1).any()):
                break
            moved = refine_cameras(cameras, seen.points_px, seen.confidences).cameras
            settled, before = shift_frames(settled, times, moved, seen.points_px, seen.confidences), settled
            if settled is before:
                break
        return {"offsets_s": settled.offsets_s, "rows": settled.rows}

    found = stored(work.path("clocks", "clocks"), key, settle, lambda kept: replace(rough, **kept))
    work.notify("clocks", 1, 1, f"{len(found)} time steps")
    return found.every(stride)


def observe(views: Sequence[View], cameras: Sequence[Camera], timeline: Timeline) -> Seen:
    """All landmarks by time step, in the pixels of ``cameras``, whose pictures are undistorted."""
    points = [straightened(view, camera, view.people["points_px"]) for view, camera in zip(views, cameras, strict=True)]
    return Seen(
        points_px=timeline.gather(points),
        confidences=timeline.gather([view.people["confidences"] for view in views]).nan_to_num(0.0),
        guesses_m=timeline.gather([view.people["guesses_m"] for view in views]),
    )


def straightened(view: View, camera: Camera, points_px: Float[ndarray, "f 33 2"]) -> Float[ndarray, "f 33 2"]:
    """Where landmarks of the video lie in the undistorted pictures of ``camera``."""
    straight = Undistorter(view.calibration).points(points_px.reshape(-1, 2).astype(np.float64))
    ratio = camera.width / view.footage.size[1], camera.height / view.footage.size[0]
    return straight.reshape(points_px.shape) * ratio


def solve_cameras(work: Work, cameras: Sequence[Camera], seen: Seen, refine: Refine, where: Path) -> Rig:
    """The cameras' places and the landmarks in space. Raises as ``solve_rig``."""
    key = key_of("cameras", camera_facts(cameras), seen.points_px.numpy(), seen.confidences.numpy(), refine)
    path = work.path("cameras", "cameras")
    rig = stored(path, key, lambda: solve_rig(cameras, seen, refine, where).arrays(), Rig.of)
    work.notify("cameras", 1, 1, "moved by the landmarks" if rig.is_refined else "as calibrated")
    return rig


def check_lenses(work: Work, shots: Sequence[Shot]) -> list[str]:
    """What straight edges of the scene say of the calibration's distortion, a sentence for each doubt."""
    checks = []
    for i, shot in enumerate(shots):
        lens = shot.calibration
        seen = shot.source.fingerprint(), shot.sightings.soft_masks, shot.sightings.regions, shot.frame_ids
        key = key_of("lenses", *seen, lens.intrinsics_px, lens.distortion, lens.is_fisheye)
        path = work.path("lenses", shot.name)
        checks.append(stored(path, key, lambda s=shot: {"edges": check_lens(s).array()}, partial(_edges, shot.name)))
        work.notify("lenses", i + 1, len(shots), shot.name)
    return doubt_distortion(checks)


def write_shots(work: Work, shots: Sequence[Shot], config: MaskConfig) -> list[Arrays]:
    """All cameras' pictures and masks."""
    total, done, found = sum(len(shot.steps) for shot in shots), 0, []
    for shot in shots:
        lens = [shot.calibration.intrinsics_px, shot.calibration.distortion, shot.calibration.is_fisheye]
        seen = shot.source.fingerprint(), shot.sightings.soft_masks, shot.sightings.regions, shot.person
        key = key_of("pictures", *seen, shot.rows, lens, list(shot.size), config)
        path = work.path("pictures", shot.name)
        if not are_written(shot, work.folder):
            path.unlink(missing_ok=True)
        tell = work.counting("pictures", done, total, shot.name)
        made = stored(path, key, lambda s=shot, t=tell: write_pictures(s, work.folder, config, t), _of_pictures)
        found.append(made | {KEY: np.array(key)})
        done += len(shot.steps)
        work.notify("pictures", done, total, shot.name)
    return found


def fit_person(work: Work, observations: Observations, masks: Sequence[Arrays], fit: Fit) -> FittedBody:
    """The body that ``fit`` makes of the observations; ``masks`` are what ``write_shots`` gave."""
    names = ("points_px", "confidences", "points_world", "point_confidences", "guesses_m")
    seen = [getattr(observations, name).numpy() for name in names]
    told = [
        camera_facts(observations.cameras),
        observations.frame_rate_hz,
        observations.height_m,
        seen,
        [each[KEY] for each in masks],
    ]

    def tell(share: float, detail: str) -> None:
        work.notify("body", round(1000 * share), 1000, detail)

    path = work.path("body", "body")
    fitted = stored(path, key_of("body", *told), lambda: _body_arrays(fit(observations, tell)), _body_of)
    tell(1.0, "")
    return fitted


def mask_loader(folder: Path, cameras: Sequence[Camera], shots: Sequence[Shot]) -> MaskLoader:
    """``load_mask`` of ``Observations`` for written pictures."""

    def load(frame_id: int, camera_id: int) -> np.ndarray | None:
        if not shots[camera_id].has_person[frame_id]:
            return None
        return read_mask(mask_path(folder, cameras[camera_id].name, frame_id))

    return load


def _everybody(source: Source, landmarker: Landmarker, on_frame: Counted) -> Arrays:
    return find_people((frame.picture for frame in source.frames()), landmarker, on_picture=on_frame).arrays()


def _within(views: Sequence[View], wanted: int | PersonAt) -> int | PersonAt:
    """Who is wanted, by the picture's place among the frames to use."""
    if isinstance(wanted, PersonAt):
        for view in views:
            if view.calibration.name == wanted.camera:
                return replace(wanted, picture=int(np.abs(view.footage.frame_ids - wanted.picture).argmin()))
    return wanted


def _motions(views: Sequence[View]) -> tuple[list[ndarray], list[ndarray], list[ndarray]]:
    """Times, landmarks and confidences of the person in each video."""
    points, trust = ([view.people[name] for view in views] for name in ("points_px", "confidences"))
    return [view.footage.times_s for view in views], points, trust


def camera_facts(cameras: Sequence[Camera]) -> list[object]:
    """Everything about them, for ``key_of``."""
    return [
        [camera.name, camera.height, camera.width, camera.intrinsics_px.numpy(), camera.camera_from_world.numpy()]
        for camera in cameras
    ]


def _edges(name: str, kept: Arrays) -> EdgeCheck:
    return EdgeCheck.of(name, kept["edges"])


def _of_pictures(kept: Arrays) -> Arrays:
    return {name: kept[name] for name in ("disagreements", "unrest", "hidden")}


def _body_arrays(fitted: FittedBody) -> Arrays:
    return {
        "rig": np.array(fitted.rig),
        "names": np.array(fitted.shape.names),
        "values": fitted.shape.values.numpy(force=True),
        "local_quats": fitted.poses.local_quats.numpy(force=True),
        "root_position_world": fitted.poses.root_position_world.numpy(force=True),
        "residuals_px": fitted.residuals_px.numpy(force=True),
        "overlaps": fitted.overlaps.numpy(force=True),
    }


def _body_of(arrays: Mapping[str, np.ndarray]) -> FittedBody:
    tensors = {name: torch.from_numpy(value) for name, value in arrays.items() if value.dtype.kind == "f"}
    return FittedBody(
        rig=str(arrays["rig"]),
        shape=Shape(names=tuple(map(str, arrays["names"])), values=tensors["values"]),
        poses=Pose(local_quats=tensors["local_quats"], root_position_world=tensors["root_position_world"]),
        residuals_px=tensors["residuals_px"],
        overlaps=tensors["overlaps"],
    )
