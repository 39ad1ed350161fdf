"""The stage in which cameras that landmarks had to move are settled by outlines."""

from collections.abc import Sequence
from dataclasses import replace

import torch

from avatar.structs import Camera

from .observations import Observations
from .outline_cameras import cameras_by_outlines
from .solve import Rig, Seen
from .stages import Fit, Work, camera_facts
from .stored import KEY, Arrays, key_of, stored
from .triangulate import triangulate

FRAMES = 25  # that a first body is fitted to


def settle_cameras(
    work: Work, rig: Rig, seen: Seen, observations: Observations, masks: Sequence[Arrays], fit: Fit
) -> tuple[Rig, Observations]:
    """Rig and observations with cameras where outlines of a body, fitted to some frames, meet the masks.

    ``masks`` are what ``write_shots`` gave. A rig that the landmarks left as calibrated is right, and stays.
    """
    if not rig.is_refined:
        return rig, observations
    facts = [camera_facts(observations.cameras), seen.points_px.numpy(), seen.confidences.numpy()]

    def settled() -> Arrays:
        some = observations.every(-(-observations.num_frames // FRAMES))
        body = fit(some, lambda share, detail: work.notify("outlines", round(1000 * share), 1000, detail))
        return moved(rig, cameras_by_outlines(some, body), seen).arrays()

    key = key_of("outlines", *facts, [each[KEY] for each in masks])
    found = stored(work.path("cameras", "outlines"), key, settled, Rig.of)
    work.notify("outlines", 1000, 1000, "")
    seen = found.corrected(seen)
    return found, replace(
        observations,
        cameras=found.cameras(observations.cameras),
        points_px=seen.points_px,
        confidences=seen.confidences,
        points_world=found.points_world,
        point_confidences=found.point_confidences,
        guesses_m=seen.guesses_m,
    )


def moved(rig: Rig, cameras: Sequence[Camera], seen: Seen) -> Rig:
    """The same rig with its cameras at other places."""
    found = triangulate(cameras, seen.points_px, seen.confidences)
    return replace(
        rig,
        camera_from_world=torch.stack([camera.camera_from_world.double() for camera in cameras]),
        after_px=found.camera_residuals_px(),
        points_world=found.points_world,
        point_confidences=found.confidences,
        residuals_px=found.residuals_px,
        is_swapped=found.is_swapped,
    )
