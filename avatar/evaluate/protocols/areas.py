"""Which pixels a protocol looks at."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from avatar.structs import Box, Camera

PARALLEL = 1e-5  # a direction this close to a face of the box is taken for this


def pixels_in_box(camera: Camera, low_world: Float[Tensor, "3"], high_world: Float[Tensor, "3"]) -> Bool[Tensor, "h w"]:
    """The pixels whose rays pass through an axis-aligned box, ``mask_at_box`` of NeuralBody's family.

    Rays through pixel centres; a ray counts when it enters before it leaves, strictly.
    """
    matrix = camera.camera_from_world.double()
    intrinsics = camera.intrinsics_px.double()
    rows, columns = torch.meshgrid(
        torch.arange(camera.height, dtype=torch.float64), torch.arange(camera.width, dtype=torch.float64), indexing="ij"
    )
    pixels = torch.stack([columns + 0.5, rows + 0.5, torch.ones_like(rows)], -1)
    directions = pixels @ torch.linalg.inv(intrinsics).mT @ matrix[:3, :3]
    directions = directions / directions.norm(dim=-1, keepdim=True)
    tiny = torch.where(directions < 0, -PARALLEL, PARALLEL).to(directions)
    directions = torch.where(directions.abs() < PARALLEL, tiny, directions)
    centre = -matrix[:3, :3].mT @ matrix[:3, 3]
    hits = torch.stack([(low_world.double() - centre) / directions, (high_world.double() - centre) / directions])
    near, far = hits.amin(0).amax(-1), hits.amax(0).amin(-1)
    return near < far


def window_around(person: Box, height_px: int, width_px: int, height: int, width: int) -> Box:
    """MetaCap's window: its middle is the person's where the person is smaller; inside the picture of ``height width``.

    Odd differences leave the extra pixel right and below. ValueError for a picture smaller than the window.
    """
    if height < height_px or width < width_px:
        raise ValueError(f"expected pictures of at least {height_px} x {width_px} (h x w), got {height} x {width}")
    top = min(max(0, person.top - max(0, height_px - person.height) // 2), height - height_px)
    left = min(max(0, person.left - max(0, width_px - person.width) // 2), width - width_px)
    return Box(top=top, left=left, bottom=top + height_px, right=left + width_px)
