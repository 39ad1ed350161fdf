"""Make the sample capture: a dancing person filmed by eight cameras, out of formulas and the body model alone.

Every run on a machine writes the same bytes.

    python -m avatar.tools.make_sample --out data/samples/dancer
"""

from dataclasses import dataclass
from pathlib import Path

import torch
import tyro

from avatar.capture import write_capture

from .dancer.film import film


@dataclass(frozen=True, kw_only=True)
class MakeSample:
    """Where the capture goes, and its pictures.

    Attributes:
        out: a new or empty folder.
        height, width: size of a picture in pixels.
        oversampling: each pixel is the mean of this many samples squared.
        jpeg_quality: 1 to 100.
    """

    out: Path = Path("data/samples/dancer")
    height: int = 450
    width: int = 400
    oversampling: int = 4
    jpeg_quality: int = 92

    def __post_init__(self) -> None:
        if min(self.height, self.width, self.oversampling) < 1:
            found = (self.height, self.width, self.oversampling)
            raise ValueError(f"MakeSample: expected a positive height, width and oversampling, got {found}")


def main(config: MakeSample) -> None:
    """Write the sample."""
    torch.set_num_threads(1)  # sums in one order
    capture = film(config.height, config.width, config.oversampling)
    write_capture(capture, config.out, jpeg_quality=config.jpeg_quality)
    size = sum(path.stat().st_size for path in config.out.rglob("*") if path.is_file())
    print(f"{config.out}: {size / 1e6:.2f} MB")


if __name__ == "__main__":
    main(tyro.cli(MakeSample))
