"""The only camera of a capture: its lens, its turns, and its place by the person before it."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray

from avatar.capture.calibration import Calibration
from avatar.structs import Camera

from .camera_motion import MISFIT, CameraMotion, Corners, Picture, camera_motion, follow_scene
from .field_of_view import USUAL_DEG, FieldOfView, estimated_field_of_view, recorded_field_of_view
from .footage import Counted
from .match import folder_name
from .monocular import MonocularConfig, Placement, place_person
from .skeleton import SWAP_GROUPS
from .solve import Rig, Seen
from .sources import Source
from .stages import View, Work, camera_facts
from .stored import Arrays, key_of, stored


def uncalibrated(source: Source) -> Calibration:
    """A camera of which nothing is known yet: the usual lens, without distortion."""
    height, width = next(source.frames()).picture.shape[:2]
    found = Calibration(
        name=source.name,
        intrinsics_px=_intrinsics_px(FieldOfView(degrees=USUAL_DEG, spread=0.0, source=""), height, width),
        camera_from_world=np.eye(4),
        distortion=np.zeros(5),
        size=(height, width),
    )
    return replace(found, name=folder_name(found))


def find_lens(work: Work, view: View, config: MonocularConfig) -> tuple[View, tuple[str, ...]]:
    """An uncalibrated camera with the lens that is given, recorded or estimated, and what to say of it."""
    height, width = view.footage.size
    if config.fov_degrees is not None:
        found = FieldOfView(degrees=config.fov_degrees, spread=0.0, source="given")
    else:
        recorded = recorded_field_of_view(view.source.path) if view.source.rate_hz is None else None
        found = recorded or _estimated(work, view)
    lens = replace(view.calibration, intrinsics_px=_intrinsics_px(found, height, width))
    low, high = found.range_degrees
    note = (
        f"{lens.name}: a field of view of {found.degrees:.0f} degrees across the longer side, by {found.source}; "
        f"{low:.0f} to {high:.0f} are as likely. Give --fov if you know it."
    )
    return replace(view, calibration=lens), (note,) if found.spread else ()


def place_camera(work: Work, view: View, camera: Camera, seen: Seen, rate_hz: float, config: MonocularConfig) -> Rig:
    """The camera and the person's landmarks in the world that the person stands in. Raises as ``place_person``."""
    told = [camera_facts([camera]), seen.points_px.numpy(), seen.confidences.numpy(), seen.guesses_m.numpy()]
    key = key_of("camera", view.facts, told, rate_hz, config)

    def place() -> Rig:
        one = (seen.points_px[:, 0], seen.confidences[:, 0], seen.guesses_m[:, 0])
        focal = float(camera.intrinsics_px[0, 0]) / max(camera.height, camera.width)
        motion = camera_motion(_scene(work, view), focal)
        return _rig(place_person(camera, *one, rate_hz, config), motion, config)

    rig = stored(work.path("cameras", "cameras"), key, lambda: place().arrays(), Rig.of)
    work.notify("cameras", 1, 1, "placed by the person")
    return rig


def _rig(placement: Placement, motion: CameraMotion, config: MonocularConfig) -> Rig:
    unknown, count = torch.full((1,), torch.nan, dtype=torch.float64), len(placement.points_world)
    name = placement.camera.name
    return Rig(
        camera_from_world=placement.camera.camera_from_world.double()[None],
        before_px=unknown,
        after_px=unknown,
        is_refined=False,
        points_world=placement.points_world,
        point_confidences=placement.confidences,
        residuals_px=torch.full((count, 1, 33), torch.nan, dtype=torch.float64),
        is_swapped=torch.zeros(count, 1, len(SWAP_GROUPS), dtype=torch.bool),
        doubts=tuple(f"{name}: {text}" for text in _notes(placement, motion, config)),
        raised_m=0.0,
    )


def _notes(placement: Placement, motion: CameraMotion, config: MonocularConfig) -> Iterator[str]:
    yield (
        f"it looks {placement.tilt_deg:.0f} degrees down by how the person stands, good to ten degrees, and sizes are "
        f"those of a person of {config.height_m:.2f} m. Give --height if you know it."
    )
    if motion.is_moving:
        places = ", and went from place to place" if motion.misfit > MISFIT else ""
        yield f"it turned by up to {motion.turned_deg:.0f} degrees{places}; the world of this capture turns with it."
    if motion.unseen > len(motion.first_from_camera) / 2:
        yield "the scene behind the person shows too little to tell whether the camera moves."


def _estimated(work: Work, view: View) -> FieldOfView:
    points_px, confidences, guesses_m = (
        torch.from_numpy(view.people[name]) for name in ("points_px", "confidences", "guesses_m")
    )
    return estimated_field_of_view(points_px, confidences, guesses_m, _scene(work, view), view.footage.size)


def _scene(work: Work, view: View) -> list[Corners]:
    """The scene behind the person, followed once."""
    tell = work.counting("cameras", 0, len(view.footage.times_s), view.calibration.name)

    def follow() -> Arrays:
        found = [(np.zeros((0, 2)), np.zeros((0, 2))), *follow_scene(_pictures(view, tell))]
        earlier, later = (np.concatenate(each) for each in zip(*found, strict=True))
        return {"earlier": earlier, "later": later, "ends": np.cumsum([len(each) for each, _ in found])}

    return stored(work.path("cameras", "scene"), key_of("scene", view.facts), follow, _corners)


def _corners(kept: Arrays) -> list[Corners]:
    parts = (np.split(kept[name], kept["ends"][:-1])[1:] for name in ("earlier", "later"))
    return list(zip(*parts, strict=True))


def _pictures(view: View, tell: Counted) -> Iterator[Picture]:
    for row, frame in enumerate(view.source.frames()):
        tell(row + 1)
        person = int(view.person[row])
        nobody = np.zeros(view.footage.size, np.float32)
        yield frame.picture, nobody if person < 0 else view.sightings.mask(person, view.footage.size)


def _intrinsics_px(field: FieldOfView, height: int, width: int) -> Float[ndarray, "3 3"]:
    return field.intrinsics_px(height, width).double().numpy()
