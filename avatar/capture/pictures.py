"""Pictures on demand: decoded once, undistorted, cropped to the person and kept in memory up to a bound."""

import logging
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Lock
from typing import Protocol, runtime_checkable

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from avatar.structs import Box, Camera, Frame, Pose, Split

from .errors import CaptureError, MissingFileError
from .files import first_file, inside
from .picture_files import MaskRule, picture_size, read_image, read_mask

LOG = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class PictureConfig:
    """How pictures are handed out.

    Attributes:
        margin_px: how far a crop reaches beyond the person's mask.
        keep_background: leave the scene behind the person; otherwise it is black.
        cache_bytes: memory for decoded pictures; the least recently used ones go first. Four bytes a pixel.
        mask_folders: of ZJU-MoCap as published, which has several masks: the person is where any of these says so.
    """

    margin_px: int = 8
    keep_background: bool = False
    cache_bytes: int = 2**30
    mask_folders: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("margin_px", "cache_bytes"):
            if getattr(self, name) < 0:
                raise ValueError(f"PictureConfig.{name}: expected zero or more, got {getattr(self, name)}")


@runtime_checkable
class PictureSource(Protocol):
    """Where a capture's pictures and masks come from. All raise MissingFileError or CaptureError naming the file."""

    def image(self, frame_id: int, camera_id: int) -> tuple[Path, UInt8[np.ndarray, "h w 3"]]:
        """The pixels, sRGB, and the file that holds them."""
        ...

    def mask(self, frame_id: int, camera_id: int) -> tuple[Path, Bool[np.ndarray, "h w"]]:
        """Where the person is, and the file that says it."""
        ...

    def size(self, camera_id: int) -> tuple[int, int] | None:
        """Height and width of a camera's first picture; None when it has none."""
        ...

    def check(self, split: Split) -> None:
        """Raise unless every picture and mask of ``split`` is there."""
        ...


NamesOf = Callable[[int, int], Sequence[str]]


@dataclass(frozen=True, kw_only=True)
class PictureFiles:
    """Pictures and masks in files of their own.

    Attributes:
        root: the capture's folder; no file outside it is opened.
        num_frames: how many time steps there are.
        images, masks: ``(frame_id, camera_id)`` to the relative paths to try, in order.
        rule: what a mask's pixels mean.
        more_masks: the same of masks to join: the person is where any of them says so.
    """

    root: Path
    num_frames: int
    images: NamesOf
    masks: NamesOf
    rule: MaskRule = field(default_factory=MaskRule)
    more_masks: tuple[NamesOf, ...] = ()

    def image_path(self, frame_id: int, camera_id: int) -> Path:
        """The picture; MissingFileError when it is not there."""
        return first_file(inside(self.root, name) for name in self.images(frame_id, camera_id))

    def mask_path(self, frame_id: int, camera_id: int) -> Path:
        """The mask; MissingFileError when it is not there."""
        return first_file(inside(self.root, name) for name in self.masks(frame_id, camera_id))

    def image(self, frame_id: int, camera_id: int) -> tuple[Path, UInt8[np.ndarray, "h w 3"]]:
        """The pixels, sRGB, and the file that holds them."""
        path = self.image_path(frame_id, camera_id)
        return path, read_image(path)

    def mask(self, frame_id: int, camera_id: int) -> tuple[Path, Bool[np.ndarray, "h w"]]:
        """Where the person is, and the file that says it."""
        path = self.mask_path(frame_id, camera_id)
        is_foreground = read_mask(path, self.rule)
        for names in self.more_masks:
            other = first_file(inside(self.root, name) for name in names(frame_id, camera_id))
            more = read_mask(other, self.rule)
            if more.shape != is_foreground.shape:
                raise CaptureError(other, f"has another size than {path}, they cannot be joined; scale it")
            is_foreground = is_foreground | more
        return path, is_foreground

    def size(self, camera_id: int) -> tuple[int, int] | None:
        """Height and width of a camera's first picture; None when it has none."""
        for frame_id in range(self.num_frames):
            try:
                return picture_size(self.image_path(frame_id, camera_id))
            except MissingFileError:
                continue
        return None

    def check(self, split: Split) -> None:
        """MissingFileError naming the first file of ``split`` that is not there."""
        for frame_id, camera_id in split.pairs():
            self.image_path(frame_id, camera_id)
            self.mask_path(frame_id, camera_id)


@dataclass(frozen=True, kw_only=True, eq=False)
class Lens:
    """What OpenCV needs to undo distortion: intrinsics with pixel centres at integers, and the model's coefficients."""

    intrinsics_px: Float[np.ndarray, "3 3"]
    distortion: Float[np.ndarray, " d"]
    is_fisheye: bool = False

    def undistort(self, pixels: UInt8[np.ndarray, "h w *d"]) -> UInt8[np.ndarray, "h w *d"]:
        """The picture that the same camera would take without distortion."""
        if self.is_fisheye:
            return cv2.fisheye.undistortImage(pixels, self.intrinsics_px, self.distortion, Knew=self.intrinsics_px)
        return cv2.undistort(pixels, self.intrinsics_px, self.distortion)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Picture:
    """A decoded picture as it is kept: one byte a value."""

    camera: Camera
    image: UInt8[Tensor, "h w 3"]
    is_foreground: Bool[Tensor, "h w"]
    crop: Box | None

    @property
    def num_bytes(self) -> int:
        return self.image.numel() + self.is_foreground.numel()


class PictureLoader:
    """The ``load_frame`` of a capture in files. Owns the memory of decoded pictures; safe to share among threads."""

    def __init__(
        self,
        *,
        name: str,
        source: PictureSource,
        cameras: Sequence[Camera],
        lenses: Sequence[Lens | None],
        poses: Pose,
        config: PictureConfig,
    ) -> None:
        self.name, self.source, self.cameras, self.lenses = name, source, cameras, lenses
        self.poses, self.config = poses, config
        self._kept: OrderedDict[tuple[int, int, bool], _Picture] = OrderedDict()
        self._kept_bytes = 0
        self._lock = Lock()

    def __call__(self, frame_id: int, camera_id: int, cropped: bool) -> Frame:
        """The picture, whole or cropped to the person with a margin; whole as well where the mask shows nobody.

        Raises MissingFileError or CaptureError, which name the file, for a picture or mask that is missing or broken,
        and ValueError for a frame or camera that the capture does not have.
        """
        num_frames = len(self.poses.root_position_world)
        for kind, number, count in ("frame", frame_id, num_frames), ("camera", camera_id, len(self.cameras)):
            if not 0 <= number < count:
                raise ValueError(f"{self.name}: expected a {kind} from 0 to {count - 1}, got {number}")
        picture = self._picture(frame_id, camera_id, cropped)
        return Frame(
            camera=picture.camera,
            image=picture.image.to(torch.float32).div_(255.0),
            is_foreground=picture.is_foreground,
            pose=replace(self.poses[frame_id], frame_id=frame_id),
            frame_id=frame_id,
            camera_id=camera_id,
            crop=picture.crop,
        )

    def has(self, frame_id: int, camera_id: int) -> bool:
        """Whether the picture and its mask are there."""
        try:
            self.source.check(Split(name="", frame_ids=(frame_id,), camera_ids=(camera_id,)))
        except MissingFileError:
            return False
        return True

    def file_of(self, frame_id: int, camera_id: int) -> Path | None:
        """The file that holds the very pixels of a whole picture; None where they are changed or in a video."""
        is_changed = self.lenses[camera_id] is not None or not self.config.keep_background
        if is_changed or not isinstance(self.source, PictureFiles):
            return None
        return self.source.image_path(frame_id, camera_id)

    @property
    def kept_bytes(self) -> int:
        """Memory held by decoded pictures; at most ``config.cache_bytes``."""
        return self._kept_bytes

    def _picture(self, frame_id: int, camera_id: int, cropped: bool) -> _Picture:
        key = (frame_id, camera_id, cropped)
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        picture = self._read(frame_id, camera_id, cropped)
        with self._lock:
            if key not in self._kept:
                self._kept[key] = picture
                self._kept_bytes += picture.num_bytes
            while self._kept_bytes > self.config.cache_bytes:
                self._kept_bytes -= self._kept.popitem(last=False)[1].num_bytes
        return picture

    def _read(self, frame_id: int, camera_id: int, cropped: bool) -> _Picture:
        camera, lens = self.cameras[camera_id], self.lenses[camera_id]
        image_path, image = self.source.image(frame_id, camera_id)
        mask_path, is_foreground = self.source.mask(frame_id, camera_id)
        if image.shape[:2] != (camera.height, camera.width):
            raise CaptureError(image_path, _wrong_size(camera, image))
        if is_foreground.shape != image.shape[:2]:
            is_foreground = _scaled_mask(is_foreground, camera, mask_path)
        if lens is not None:
            image = lens.undistort(image)
            is_foreground = lens.undistort(is_foreground.astype(np.uint8) * 255) >= 128
        crop = None
        if cropped:
            crop = person_box(is_foreground).padded(self.config.margin_px, camera.height, camera.width)
            rows, columns = slice(crop.top, crop.bottom), slice(crop.left, crop.right)
            image, is_foreground = image[rows, columns], is_foreground[rows, columns]
            camera = camera.crop(crop)
        if not self.config.keep_background:
            image = image * is_foreground[..., None]
        return _Picture(
            camera=camera,
            image=torch.from_numpy(np.array(image, order="C")),
            is_foreground=torch.from_numpy(np.array(is_foreground, order="C")),
            crop=crop,
        )


def _wrong_size(camera: Camera, pixels: np.ndarray) -> str:
    found = f"{pixels.shape[0]} x {pixels.shape[1]}"
    return f"expected {camera.height} x {camera.width} pixels (h x w), got {found}; scale it"


def _scaled_mask(is_foreground: Bool[np.ndarray, "_ _"], camera: Camera, path: Path) -> Bool[np.ndarray, "h w"]:
    """A mask of another resolution in the camera's, by its nearest pixels; CaptureError for one of another shape."""
    height, width = is_foreground.shape
    if abs(width * camera.height - height * camera.width) > max(camera.height, camera.width) / 2:
        raise CaptureError(path, _wrong_size(camera, is_foreground))
    LOG.warning("%s: is %d x %d, its picture %d x %d; scaled", path, height, width, camera.height, camera.width)
    pixels = cv2.resize(is_foreground.view(np.uint8), (camera.width, camera.height), interpolation=cv2.INTER_NEAREST)
    return pixels.view(bool)


def person_box(is_foreground: Bool[np.ndarray, "h w"]) -> Box:
    """The smallest box around the foreground, or the whole picture where there is none."""
    rows, columns = np.flatnonzero(is_foreground.any(axis=1)), np.flatnonzero(is_foreground.any(axis=0))
    if not len(rows):
        return Box(top=0, left=0, bottom=is_foreground.shape[0], right=is_foreground.shape[1])
    return Box(top=int(rows[0]), left=int(columns[0]), bottom=int(rows[-1]) + 1, right=int(columns[-1]) + 1)
