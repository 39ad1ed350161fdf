"""A picture of a capture as a protocol shows it, and the figures of a rendering of it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from avatar.assets import LpipsNet
from avatar.structs import Box, Camera, Frame, Rendering

from .. import metrics
from ..lpips import MIN_SIDE_PX, Lpips
from .areas import pixels_in_box, window_around
from .protocol import Area, LpipsOf, Measure, PictureRule, Protocol, Psnr, Ssim
from .similarity import ssim_as

FILTERS = {"area": cv2.INTER_AREA, "linear": cv2.INTER_LINEAR, "lanczos4": cv2.INTER_LANCZOS4}

Image = Float[Tensor, "h w 3"]
Nets = Mapping[LpipsNet, Lpips | None]


@dataclass(frozen=True, kw_only=True, eq=False)
class Prepared:
    """What a rendering is compared with.

    Attributes:
        frame: the picture on black, and the camera that sees it.
        in_box: the pixels whose rays meet the body's box, outside which all is black; None without one.
    """

    frame: Frame
    in_box: Bool[Tensor, "h w"] | None = None

    def area(self, area: Area) -> Box | Bool[Tensor, "h w"] | None:
        """The pixels of an area: a rectangle or a mask; None for a rectangle around nothing."""
        match area:
            case "image":
                return Box(top=0, left=0, bottom=self.frame.camera.height, right=self.frame.camera.width)
            case "mask":
                return self.frame.is_foreground
            case "mask_rectangle":
                return metrics.foreground_box(self.frame.is_foreground)
            case "box" | "box_rectangle":
                assert self.in_box is not None, "a protocol with such figures has a box"
                return self.in_box if area == "box" else metrics.foreground_box(self.in_box)


def prepare(protocol: Protocol, frame: Frame, vertices_world: Float[Tensor, "v 3"] | None = None) -> Prepared:
    """The picture as the protocol has it.

    Args:
        frame: the whole picture with its background, undistorted.
        vertices_world: those of the body, for a protocol with a box.

    Raises ValueError for a picture smaller than the protocol's window.
    """
    picture = _windowed(frame, protocol.picture) if protocol.picture.window_px else frame
    image, is_foreground, camera = _resized(picture, protocol.picture)
    image, in_box = image * is_foreground[..., None], None
    if protocol.box_padding_m is not None:
        assert vertices_world is not None, "a protocol with a box takes the body's vertices"
        vertices, padding = vertices_world.cpu().double(), torch.tensor(protocol.box_padding_m, dtype=torch.float64)
        low, high = vertices.amin(0) - padding, vertices.amax(0) + padding
        in_box = pixels_in_box(_published(camera, picture.camera), low, high)
        image = image * in_box[..., None]
    return Prepared(frame=replace(picture, image=image, is_foreground=is_foreground, camera=camera), in_box=in_box)


def figures(
    protocol: Protocol, truth: Prepared, rendering: Rendering, nets: Nets | None = None
) -> dict[str, float | None]:
    """Each of the protocol's measures by name; None for a figure that the image or the missing net cannot give."""
    shown = rendering.color.float().clamp(0, 1)
    if protocol.alpha_above is not None:
        shown = shown * (rendering.alpha > protocol.alpha_above)[..., None]
    if protocol.is_quantised:
        shown = metrics.quantised(shown)
    if truth.in_box is not None:
        shown = shown * truth.in_box[..., None]
    return {measure.name: _figure(measure, shown, truth, nets or {}) for measure in protocol.measures}


def _figure(measure: Measure, shown: Image, truth: Prepared, nets: Nets) -> float | None:
    area = truth.area(measure.area)
    if area is None:
        return None
    cut = (slice(area.top, area.bottom), slice(area.left, area.right)) if isinstance(area, Box) else area
    pair = shown[cut], truth.frame.image[cut]
    match measure.of:
        case Psnr():
            return metrics.psnr(*pair)
        case Ssim() as ssim:
            return ssim_as(ssim, *pair)
        case LpipsOf(net=name, is_rescaled=is_rescaled):
            net = nets.get(name)
            if net is None or min(pair[0].shape[:2]) < MIN_SIDE_PX:
                return None
            # Our net brings [0, 1] to [-1, 1] by itself; what was fed as it was lies in the upper half of that.
            return 1000 * float(net(*pair if is_rescaled else ((image + 1) / 2 for image in pair)))


def _windowed(frame: Frame, rule: PictureRule) -> Frame:
    """The protocol's window of a picture; around its middle where it shows nobody."""
    assert rule.window_px is not None
    height, width = frame.is_foreground.shape
    person = metrics.foreground_box(frame.is_foreground) or Box(top=0, left=0, bottom=height, right=width)
    try:
        box = window_around(person, *rule.window_px, height, width)
    except ValueError as error:
        raise ValueError(f"frame {frame.frame_id}, camera {frame.camera.name!r}: {error}") from error
    cut = slice(box.top, box.bottom), slice(box.left, box.right)
    return replace(
        frame,
        camera=frame.camera.crop(box),
        image=frame.image[cut],
        is_foreground=frame.is_foreground[cut],
        crop=box,
    )


def _resized(frame: Frame, rule: PictureRule) -> tuple[Image, Bool[Tensor, "h w"], Camera]:
    """Image, mask and camera at the protocol's size."""
    image, is_foreground, camera = frame.image, frame.is_foreground, frame.camera
    if rule.is_masked_first:
        image = image * is_foreground[..., None]
    if rule.height_px is None or rule.height_px == camera.height:
        return image, is_foreground, camera
    camera = camera.scaled(rule.height_px / camera.height)
    size = camera.width, camera.height
    pixels = cv2.resize(image.numpy(), size, interpolation=FILTERS[rule.resize]).clip(0, 1)
    mask = cv2.resize(is_foreground.numpy().astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
    return torch.from_numpy(pixels), torch.from_numpy(mask > 0), camera


def _published(camera: Camera, whole: Camera) -> Camera:
    """The camera that published readers make of ``whole``: K of integer pixel centres scaled without the half pixel."""
    ratio = camera.height / whole.height
    centre = (whole.intrinsics_px[:2, 2] - 0.5) * ratio + 0.5
    intrinsics = camera.intrinsics_px.clone()
    intrinsics[:2, 2] = centre
    return replace(camera, intrinsics_px=intrinsics)
