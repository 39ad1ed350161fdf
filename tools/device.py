"""Where the work is done: said by ``--device``, made ready before it begins."""

import torch

from avatar.render import Device, load_backend

from .console import use_all_cores


def use_device(device: Device) -> None:
    """Get the kernels of ``device`` ready, in full single precision. ImportError says what they lack."""
    use_all_cores()
    load_backend(device)
    torch.backends.cudnn.allow_tf32 = False  # ten bits of mantissa are too few for the variances in SSIM
