"""A multi-view capture: cameras, poses, splits and a way to get at the pictures."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from .body import Pose, Shape
from .camera import Camera
from .frame import Frame
from .mesh import Mesh


def _no_surface(frame_id: int) -> Mesh | None:
    del frame_id


@dataclass(frozen=True, kw_only=True)
class Split:
    """A named part of a capture: every one of ``frame_ids`` seen by every one of ``camera_ids``."""

    name: str
    frame_ids: tuple[int, ...]
    camera_ids: tuple[int, ...]

    def __len__(self) -> int:
        """Number of pictures."""
        return len(self.frame_ids) * len(self.camera_ids)

    def pairs(self) -> list[tuple[int, int]]:
        """All (frame, camera) index pairs, frame by frame."""
        return [(frame, camera) for frame in self.frame_ids for camera in self.camera_ids]


@dataclass(frozen=True, kw_only=True, eq=False)
class Capture:
    """One subject filmed by several calibrated cameras. Readers make it; nothing else knows a file format.

    Attributes:
        name: the capture's name.
        cameras: all cameras, full images.
        poses: body pose of every time step; the leading axis is the time step.
        shape: body shape, constant over the capture.
        splits: named parts by name.
        frame_rate_hz: time steps a second.
        load_frame: ``(frame_id, camera_id, cropped)`` to the picture; cropped to the person with a margin when asked.
            Raises ValueError or FileNotFoundError naming the file when a picture or mask is missing or broken.
        load_surface: ``frame_id`` to the true surface at that time, world metres, or None where it is not known; what
            skin and clothes hide may be part of it, and sheets of cloth may be open. Raises like ``load_frame``.
        rig: which skeleton the poses are of; ``avatar.body.load_body`` knows it.
    """

    name: str
    cameras: tuple[Camera, ...]
    poses: Pose
    shape: Shape
    splits: Mapping[str, Split]
    frame_rate_hz: float
    load_frame: Callable[[int, int, bool], Frame]
    load_surface: Callable[[int], Mesh | None] = _no_surface
    rig: str = "anny"

    @property
    def num_frames(self) -> int:
        """Number of time steps."""
        return self.poses.local_quats.shape[0]

    def pose(self, frame_id: int) -> Pose:
        """The pose of one time step, marked as measured there."""
        return replace(self.poses[frame_id], frame_id=frame_id)

    def split(self, name: str) -> Split:
        """The split called ``name``; ValueError lists what there is."""
        if name not in self.splits:
            raise ValueError(f"capture {self.name!r}: no split {name!r}; it has {', '.join(sorted(self.splits))}")
        return self.splits[name]
