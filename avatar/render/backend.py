"""What draws, and how."""

from dataclasses import dataclass
from typing import Literal

from avatar.engine.cuda import gsplat

Backend = Literal["cpu", "torch", "cuda"]
Device = Literal["cpu", "cuda"]
"""Where an avatar lives; the backend of the same name draws it there."""


@dataclass(frozen=True, kw_only=True)
class RenderConfig:
    """How to render.

    Attributes:
        backend: ``"cpu"``, the compiled engine; ``"cuda"``, gsplat, for scenes on a CUDA device; or ``"torch"``, the
            plain specification of both, for any device.
        background: sRGB behind the scene.
        antialiased: keep the brightness of what is smaller than a pixel (Mip-Splatting).
        depth: also give depth.
    """

    backend: Backend = "cpu"
    background: tuple[float, float, float] = (0.0, 0.0, 0.0)
    antialiased: bool = False
    depth: bool = False

    def __post_init__(self) -> None:
        if not all(0 <= value <= 1 for value in self.background):
            raise ValueError(f"RenderConfig.background: expected sRGB in [0, 1], got {self.background}")


def load_backend(backend: Backend) -> None:
    """Get a backend ready, so that what it lacks is known before the work begins; the first time may take minutes.

    Raises ImportError, in one sentence that says what to do, where it cannot be had.
    """
    if backend == "cuda":
        gsplat.load()
