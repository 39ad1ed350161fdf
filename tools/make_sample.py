"""Make the samples out of formulas and the body model alone: a dancing person filmed by eight cameras, and a motion.

Every run on a machine writes the same bytes.

    python -m avatar.tools.make_sample --out data/samples/dancer --motion data/samples/jumping_jacks.bvh
"""

from dataclasses import dataclass
from pathlib import Path

import torch
import tyro

from avatar.capture import write_capture
from avatar.motion import write_bvh

from .dancer.film import film
from .dancer.jumping_jacks import jumping_jacks


@dataclass(frozen=True, kw_only=True)
class MakeSample:
    """Where the capture and the motion go, and the size of pictures.

    Attributes:
        out: a new or empty folder for the capture.
        motion: the motion file.
        height, width: size of a picture in pixels.
        oversampling: each pixel is the mean of this many samples squared.
        jpeg_quality: 1 to 100.
    """

    out: Path = Path("data/samples/dancer")
    motion: Path = Path("data/samples/jumping_jacks.bvh")
    height: int = 450
    width: int = 400
    oversampling: int = 4
    jpeg_quality: int = 92

    def __post_init__(self) -> None:
        if min(self.height, self.width, self.oversampling) < 1:
            found = (self.height, self.width, self.oversampling)
            raise ValueError(f"MakeSample: expected a positive height, width and oversampling, got {found}")


def main(config: MakeSample) -> None:
    """Write the samples."""
    torch.set_num_threads(1)  # sums in one order
    capture = film(config.height, config.width, config.oversampling)
    write_capture(capture, config.out, jpeg_quality=config.jpeg_quality)
    write_bvh(config.motion, jumping_jacks())
    size = sum(path.stat().st_size for path in config.out.rglob("*") if path.is_file())
    print(f"{config.out}: {size / 1e6:.2f} MB")


if __name__ == "__main__":
    main(tyro.cli(MakeSample))
