"""The two kinds of SSIM in published tables of people, to the last constant.

Wang et al., "Image Quality Assessment: From Error Visibility to Structural Similarity", TIP 2004, equation 13; they
differ in window, border, covariance and the range that the constants are made for.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from .protocol import Ssim

UNIFORM_PX, GAUSSIAN_PX, SIGMA_PX = 7, 11, 1.5

Image = Float[Tensor, "h w 3"]


def ssim_as(measure: Ssim, prediction: Image, truth: Image) -> float | None:
    """SSIM as ``measure`` defines it, mean over channels; None for images smaller than a window without border."""
    match measure.window:
        case "uniform_7":
            return ssim_uniform(prediction, truth, measure.data_range)
        case "gaussian_11":
            return ssim_gaussian(prediction, truth, measure.data_range)


def ssim_uniform(prediction: Image, truth: Image, data_range: float) -> float | None:
    """scikit-image's default: flat windows of 7 x 7 pixels inside the image, covariances of samples (n - 1)."""
    if min(truth.shape[:2]) < UNIFORM_PX:
        return None
    pixels = UNIFORM_PX**2
    weights = torch.full((UNIFORM_PX,), 1 / UNIFORM_PX, dtype=torch.float64)
    return _ssim(prediction, truth, weights, data_range, covariance_factor=pixels / (pixels - 1), padding=0)


def ssim_gaussian(prediction: Image, truth: Image, data_range: float) -> float:
    """That of 3D Gaussian splatting's evaluation: windows of 11 x 11 pixels, sigma 1.5, black beyond the image."""
    places = torch.arange(GAUSSIAN_PX, dtype=torch.float64) - GAUSSIAN_PX // 2
    weights = (-places.square() / (2 * SIGMA_PX**2)).exp()
    return _ssim(
        prediction, truth, weights / weights.sum(), data_range, covariance_factor=1.0, padding=GAUSSIAN_PX // 2
    )


def _ssim(
    prediction: Image,
    truth: Image,
    weights: Float[Tensor, " k"],
    data_range: float,
    *,
    covariance_factor: float,
    padding: int,
) -> float:
    """Windows are ``weights`` along rows times the same along columns."""
    x, y = (image.double().permute(2, 0, 1)[:, None] for image in (prediction, truth))
    both = torch.cat([x, y, x * x, y * y, x * y])
    rows = F.conv2d(both, weights[None, None, :, None], padding=(padding, 0))
    mean_x, mean_y, xx, yy, xy = F.conv2d(rows, weights[None, None, None], padding=(0, padding)).split(3)
    variances = covariance_factor * (xx - mean_x.square() + yy - mean_y.square())
    covariance = covariance_factor * (xy - mean_x * mean_y)
    small_mean, small_variance = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    luminance = (2 * mean_x * mean_y + small_mean) / (mean_x.square() + mean_y.square() + small_mean)
    return float((luminance * (2 * covariance + small_variance) / (variances + small_variance)).mean())
