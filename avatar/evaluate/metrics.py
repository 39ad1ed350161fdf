"""Image metrics of the protocol, on sRGB images in [0, 1].

Every function takes one prediction and its ground truth and gives one number; a protocol's figure is the mean over
images (for PSNR, too: the mean of decibels, not the decibels of the mean). A figure that an image cannot have is None.
"""

import flip_evaluator
from jaxtyping import Bool, Float
from pytorch_msssim import ms_ssim as torch_ms_ssim
from pytorch_msssim import ssim as torch_ssim
from torch import Tensor

from avatar.structs import Box

SSIM_WINDOW_PX, SSIM_SIGMA_PX = 11, 1.5
MS_SSIM_MIN_SIDE_PX = 161  # four halvings must leave a whole window
FLIP_MARGIN_PX = 24  # twice the radius of its widest filter, 10 pixels, and some
PSNR_MAX_DB = 100.0


def quantised(image: Float[Tensor, "h w 3"]) -> Float[Tensor, "h w 3"]:
    """What an 8-bit file would keep of an image: clamped to [0, 1] and rounded to 255 steps."""
    return (image.clamp(0, 1) * 255).round() / 255


def psnr(prediction: Float[Tensor, "*pixels 3"], truth: Float[Tensor, "*pixels 3"]) -> float | None:
    """Peak signal-to-noise ratio in dB over all pixels given, peak 1; at most ``PSNR_MAX_DB``, None without pixels."""
    if not truth.numel():
        return None
    mean_squared_error = (prediction.double() - truth.double()).square().mean()
    return min(PSNR_MAX_DB, -10 * float(mean_squared_error.log10()))


def psnr_box(
    prediction: Float[Tensor, "h w 3"], truth: Float[Tensor, "h w 3"], is_foreground: Bool[Tensor, "h w"]
) -> float | None:
    """PSNR inside the bounding box of the ground truth's foreground; None where there is no foreground."""
    box = foreground_box(is_foreground)
    if box is None:
        return None
    rows, columns = slice(box.top, box.bottom), slice(box.left, box.right)
    return psnr(prediction[rows, columns], truth[rows, columns])


def psnr_mask(
    prediction: Float[Tensor, "h w 3"], truth: Float[Tensor, "h w 3"], is_foreground: Bool[Tensor, "h w"]
) -> float | None:
    """PSNR over the pixels of the ground truth's foreground; None where there is no foreground."""
    return psnr(prediction[is_foreground], truth[is_foreground])


def ssim(prediction: Float[Tensor, "h w 3"], truth: Float[Tensor, "h w 3"]) -> float | None:
    """Structural similarity of the whole image, data range 1, Gaussian window of 11 pixels and sigma 1.5, no padding.

    Wang et al., "Image Quality Assessment: From Error Visibility to Structural Similarity", TIP 2004. Some papers of
    this field pass a data range of 2 for images in [0, 1]; their figures are higher. None under 11 pixels a side.
    """
    if min(truth.shape[:2]) < SSIM_WINDOW_PX:
        return None
    batch = _batched(prediction, truth)
    return float(torch_ssim(*batch, data_range=1.0, win_size=SSIM_WINDOW_PX, win_sigma=SSIM_SIGMA_PX))


def ms_ssim(prediction: Float[Tensor, "h w 3"], truth: Float[Tensor, "h w 3"]) -> float | None:
    """Multi-scale structural similarity of the whole image over five scales, data range 1, window as in ``ssim``.

    Wang, Simoncelli and Bovik, "Multi-scale Structural Similarity for Image Quality Assessment", 2003. None for images
    under 161 pixels a side, which the coarsest window does not fit.
    """
    if min(truth.shape[:2]) < MS_SSIM_MIN_SIDE_PX:
        return None
    batch = _batched(prediction, truth)
    return float(torch_ms_ssim(*batch, data_range=1.0, win_size=SSIM_WINDOW_PX, win_sigma=SSIM_SIGMA_PX))


def flip(prediction: Float[Tensor, "h w 3"], truth: Float[Tensor, "h w 3"]) -> float:
    """Mean FLIP error of the whole image in [0, 1], low dynamic range, at the default 67 pixels per degree.

    Andersson et al., "FLIP: A Difference Evaluator for Alternating Images", HPG 2020. The error is zero away from
    pixels that differ, so only their surroundings are computed: the same number, four times faster on black.
    """
    differing = foreground_box((prediction != truth).any(-1))
    if differing is None:
        return 0.0
    height, width = truth.shape[:2]
    box = differing.padded(FLIP_MARGIN_PX, height, width)
    cut = slice(box.top, box.bottom), slice(box.left, box.right)
    images = truth[cut].contiguous().numpy(), prediction[cut].contiguous().numpy()
    _, mean, _ = flip_evaluator.evaluate(*images, "LDR", applyMagma=False)
    return float(mean) * box.height * box.width / (height * width)


def foreground_box(is_foreground: Bool[Tensor, "h w"]) -> Box | None:
    """The smallest box around all foreground pixels; None where there is no foreground."""
    rows, columns = is_foreground.any(1).nonzero(), is_foreground.any(0).nonzero()
    if not len(rows):
        return None
    return Box(top=int(rows[0]), left=int(columns[0]), bottom=int(rows[-1]) + 1, right=int(columns[-1]) + 1)


def _batched(*images: Float[Tensor, "h w 3"]) -> list[Float[Tensor, "1 3 h w"]]:
    return [image.permute(2, 0, 1)[None] for image in images]
