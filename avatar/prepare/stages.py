"""The stages of a preparation: what each is made of, how it is told, and where it is kept until that changes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from avatar.capture.calibration import Calibration
from avatar.capture.picture_files import read_mask
from avatar.capture.writer import mask_path
from avatar.structs import Camera, Pose, Shape

from .bundle import refine_cameras
from .footage import Counted, Footage, find_landmarks, survey
from .landmarks import LandmarkConfig, Landmarker
from .masks import MaskConfig
from .observations import FittedBody, MaskLoader, Observations
from .pictures import Shot, are_written, write_pictures
from .solve import Refine, Rig, Seen, solve_rig
from .sources import Source
from .stored import KEY, Arrays, key_of, read_stored, stored
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
        people: what ``find_landmarks`` found; empty before.
        key: of ``people``.
    """

    source: Source
    calibration: Calibration
    footage: Footage
    people: Arrays
    key: str

    @property
    def has_person(self) -> bool:
        """Whether somebody was found in any frame."""
        return bool((self.people["regions"][:, 2] > 0).any())

    def camera(self, max_height: int | None) -> Camera:
        """As calibrated, of undistorted pictures, which have at most so many rows."""
        camera = self.calibration.camera(*self.footage.size)
        return camera.scaled(min(1.0, max_height / camera.height)) if max_height else camera


def survey_videos(work: Work, pairs: Sequence[tuple[Source, Calibration]]) -> list[View]:
    """Look through all videos, and bring the calibrations to their pixels. Raises as ``survey``."""
    views = []
    for i, (source, calibration) in enumerate(pairs):
        key = key_of("videos", source.fingerprint(), list(calibration.size or ()))
        seen = work.counting("videos", i, len(pairs), calibration.name)
        footage = Footage.of(
            stored(work.path("videos", calibration.name), key, lambda s=source, c=calibration: survey(s, c))
        )
        seen(1)
        lens = footage.letterbox.apply(calibration, footage.size)
        views.append(View(source=source, calibration=lens, footage=footage, people={}, key=key))
    return views


def find_people(
    work: Work,
    views: Sequence[View],
    config: LandmarkConfig,
    make_landmarker: Callable[[LandmarkConfig], Landmarker],
) -> list[View]:
    """The person in every frame of every video; the networks are made when one video is to be looked at."""
    total, done, landmarker, found = sum(len(view.footage.times_s) for view in views), 0, None, []
    for view in views:
        key = key_of("landmarks", view.source.fingerprint(), replace(config, num_threads=1))
        path = work.path("landmarks", view.calibration.name)
        people = read_stored(path, key)
        if people is None:
            landmarker = landmarker or make_landmarker(config)
            tell = work.counting("landmarks", done, total, view.calibration.name)
            people = stored(path, key, lambda v=view, m=landmarker, t=tell: find_landmarks(v.source, m, None, t))
        done += len(view.footage.times_s)
        work.notify("landmarks", done, total, view.calibration.name)
        found.append(replace(view, people=people, key=key))
    return found


def set_clocks(
    work: Work, views: Sequence[View], cameras: Sequence[Camera], rate_hz: float | None, stride: int
) -> Timeline:
    """The time line of all videos: by motion, then by whole frames, cameras and clocks being set in turn.

    Wrong cameras look like wrong clocks: in the demo of Pose2Sim, whose cameras are off by half a degree, one seems two
    frames late, and none once the cameras have moved. So they move here, for the clocks alone.
    """
    times = [view.footage.times_s for view in views]
    points, trust = ([view.people[name] for view in views] for name in ("points_px", "confidences"))
    key = key_of("clocks", [view.key for view in views], camera_facts(cameras), rate_hz)
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

    kept = stored(work.path("clocks", "clocks"), key, settle)
    work.notify("clocks", 1, 1, f"{len(kept['rows'])} time steps")
    return replace(rough, **kept).every(stride)


def observe(views: Sequence[View], cameras: Sequence[Camera], timeline: Timeline) -> Seen:
    """All landmarks by time step, in the pixels of ``cameras``, whose pictures are undistorted."""
    points = []
    for view, camera in zip(views, cameras, strict=True):
        found = view.people["points_px"]
        straight = Undistorter(view.calibration).points(found.reshape(-1, 2).astype(np.float64)).reshape(found.shape)
        points.append(straight * (camera.width / view.footage.size[1], camera.height / view.footage.size[0]))
    return Seen(
        points_px=timeline.gather(points),
        confidences=timeline.gather([view.people["confidences"] for view in views]).nan_to_num(0.0),
        guesses_m=timeline.gather([view.people["guesses_m"] for view in views]),
    )


def solve_cameras(work: Work, cameras: Sequence[Camera], seen: Seen, refine: Refine, where: Path) -> Rig:
    """The cameras' places and the landmarks in space. Raises as ``solve_rig``."""
    key = key_of("cameras", camera_facts(cameras), seen.points_px.numpy(), seen.confidences.numpy(), refine)
    rig = Rig.of(stored(work.path("cameras", "cameras"), key, lambda: solve_rig(cameras, seen, refine, where).arrays()))
    work.notify("cameras", 1, 1, "moved by the landmarks" if rig.is_refined else "as calibrated")
    return rig


def write_shots(work: Work, shots: Sequence[Shot], keys: Sequence[str], config: MaskConfig) -> list[Arrays]:
    """All cameras' pictures and masks; ``keys`` are of what was found in their videos."""
    total, done, found = sum(len(shot.steps) for shot in shots), 0, []
    for shot, of_people in zip(shots, keys, strict=True):
        lens = [shot.calibration.intrinsics_px, shot.calibration.distortion, shot.calibration.is_fisheye]
        key = key_of("pictures", of_people, shot.rows, lens, list(shot.size), config)
        path = work.path("pictures", shot.name)
        if not are_written(shot, work.folder):
            path.unlink(missing_ok=True)
        tell = work.counting("pictures", done, total, shot.name)
        made = stored(path, key, lambda s=shot, t=tell: write_pictures(s, work.folder, config, t))
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

    kept = stored(work.path("body", "body"), key_of("body", *told), lambda: _body_arrays(fit(observations, tell)))
    tell(1.0, "")
    return _body_of(kept)


def mask_loader(folder: Path, cameras: Sequence[Camera], shots: Sequence[Shot]) -> MaskLoader:
    """``load_mask`` of ``Observations`` for written pictures."""

    def load(frame_id: int, camera_id: int) -> np.ndarray | None:
        if not shots[camera_id].has_person[frame_id]:
            return None
        return read_mask(mask_path(folder, cameras[camera_id].name, frame_id))

    return load


def camera_facts(cameras: Sequence[Camera]) -> list[object]:
    """Everything about them, for ``key_of``."""
    return [
        [camera.name, camera.height, camera.width, camera.intrinsics_px.numpy(), camera.camera_from_world.numpy()]
        for camera in cameras
    ]


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
