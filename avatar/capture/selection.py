"""Parts of captures that are captures."""

from collections.abc import Sequence
from dataclasses import replace

from avatar.structs import Capture, Frame, Mesh, Split


def selected(capture: Capture, frame_ids: Sequence[int], camera_ids: Sequence[int]) -> Capture:
    """These time steps as these cameras saw them, both numbered anew from zero in the order given.

    Splits keep what is left of them, or go. The rate is that of the time steps on average.
    """
    new_frames = {old: new for new, old in enumerate(frame_ids)}
    new_cameras = {old: new for new, old in enumerate(camera_ids)}

    def load_frame(frame_id: int, camera_id: int, cropped: bool) -> Frame:
        frame = capture.load_frame(frame_ids[frame_id], camera_ids[camera_id], cropped)
        pose = replace(frame.pose, frame_id=frame_id)
        return replace(frame, pose=pose, frame_id=frame_id, camera_id=camera_id)

    def load_surface(frame_id: int) -> Mesh | None:
        return capture.load_surface(frame_ids[frame_id])

    kept = [
        Split(
            name=split.name,
            frame_ids=tuple(new_frames[old] for old in split.frame_ids if old in new_frames),
            camera_ids=tuple(new_cameras[old] for old in split.camera_ids if old in new_cameras),
        )
        for split in capture.splits.values()
    ]
    steps, span = len(frame_ids) - 1, max(frame_ids) - min(frame_ids)
    return replace(
        capture,
        cameras=tuple(capture.cameras[old] for old in camera_ids),
        poses=capture.poses[list(frame_ids)],
        splits={split.name: split for split in kept if len(split)},
        frame_rate_hz=capture.frame_rate_hz * (steps / span if span else 1.0),
        load_frame=load_frame,
        load_surface=load_surface,
    )
