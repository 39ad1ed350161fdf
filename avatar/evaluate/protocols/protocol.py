"""What a published protocol fixes: which pictures, how they are prepared, and what each figure means. Data only."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from avatar.assets import LpipsNet
from avatar.structs import Split

Area = Literal["image", "box", "box_rectangle", "mask", "mask_rectangle"]
"""Where a figure is taken: of the whole image, over the pixels inside the body's projected box or the person's mask, or
of the smallest rectangle around them."""


@dataclass(frozen=True, kw_only=True)
class Psnr:
    """Peak signal-to-noise ratio, peak 1, decibels."""


@dataclass(frozen=True, kw_only=True)
class Ssim:
    """Structural similarity.

    Attributes:
        window: ``uniform_7`` is scikit-image's default, ``gaussian_11`` that of 3D Gaussian splatting's evaluation.
        data_range: 1 is right for images in [0, 1]. scikit-image before 0.20 took 2 for floats when nothing was said,
            and so do most published figures: they are higher.
    """

    window: Literal["uniform_7", "gaussian_11"]
    data_range: float


@dataclass(frozen=True, kw_only=True)
class LpipsOf:
    """LPIPS times 1000; ``is_rescaled``: images are brought to [-1, 1], which the net expects, else fed as [0, 1]."""

    net: LpipsNet
    is_rescaled: bool


@dataclass(frozen=True, kw_only=True)
class Measure:
    """One column: its name in tables, what is computed, and where."""

    name: str
    of: Psnr | Ssim | LpipsOf
    area: Area = "image"


@dataclass(frozen=True, kw_only=True)
class PictureRule:
    """How the true picture is made.

    Attributes:
        height_px: the whole picture is resized to this height; None leaves it.
        resize: the filter. Masks take their nearest pixel.
        is_masked_first: the background becomes black before the resize, and so mixes into the edge; else after it.
        mask_folders: of a ZJU-MoCap set: the person is where any of these says so. Empty for sets with one kind.
        window_px: height and width of a window around the person that is cut out; None takes the whole picture.
    """

    height_px: int | None = None
    resize: Literal["area", "linear", "lanczos4"] = "area"
    is_masked_first: bool = False
    mask_folders: tuple[str, ...] = ()
    window_px: tuple[int, int] | None = None


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """A way to evaluate that others have published figures of. Figures of two protocols never compare.

    Attributes:
        name: what users call it.
        about: whose it is and on which data, in one line.
        subjects: the parts of each capture it knows, by the capture's name: ``train`` and what is tested. Empty for a
            protocol of any capture, see ``num_views``.
        num_views: cameras to fit to, evenly spread over the rig; None where ``subjects`` says.
        picture: how the true picture is made; the background is black.
        box_padding_m: metres by which the box around the body's vertices is larger, along x, y and z; picture and
            rendering are black outside. None for a protocol without box.
        alpha_above: the rendering is black where its opacity is not above this; None shows it as it is.
        is_quantised: the rendering is rounded to 8 bits.
        measures: the columns.
        is_by_frame: figures are averaged over each time step's images first.
        notes: where published code leaves a choice, or we cannot follow it to the last bit.
    """

    name: str
    about: str
    subjects: Mapping[str, Mapping[str, Split]]
    picture: PictureRule
    measures: tuple[Measure, ...]
    num_views: int | None = None
    box_padding_m: tuple[float, float, float] | None = None
    alpha_above: float | None = None
    is_quantised: bool = False
    is_by_frame: bool = False
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        names = [measure.name for measure in self.measures]
        if not names or len(set(names)) < len(names):
            raise ValueError(f"Protocol {self.name}: measures: expected names that differ, got {names}")
        if self.box_padding_m is None and any(measure.area.startswith("box") for measure in self.measures):
            raise ValueError(f"Protocol {self.name}: box_padding_m: expected metres for figures of a box, got None")
        if (self.num_views is None) != bool(self.subjects):
            raise ValueError(f"Protocol {self.name}: expected either subjects or num_views, got both or neither")
