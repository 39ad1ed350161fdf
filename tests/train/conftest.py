"""A corner of the sample capture, and a fit small enough to repeat."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from avatar.canonical import HybridConfig
from avatar.captures import open_capture
from avatar.deform import CorrectivesConfig, DeformConfig, NormalLightConfig, RefineConfig
from avatar.engine import set_threads
from avatar.model import HybridAvatarConfig
from avatar.structs import Capture, Split
from avatar.train import AdaptConfig, HybridFit, HybridFitConfig, Limits

SAMPLE = Path(__file__).resolve().parents[2] / "data" / "samples" / "dancer"
CORNER = Split(name="corner", frame_ids=(0, 7, 14), camera_ids=(0, 3))


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """For torch and for the engine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    set_threads(1)
    yield
    torch.set_num_threads(threads)
    set_threads(None)


@pytest.fixture(scope="session")
def sample() -> Capture:
    """The dancer."""
    return open_capture(SAMPLE, "train")


@pytest.fixture(scope="session")
def corner() -> Split:
    """Six pictures."""
    return CORNER


@pytest.fixture(scope="session")
def recipe() -> HybridFitConfig:
    """Everything that a fit can have, in small."""
    correctives = CorrectivesConfig(num_modes=4, num_control_points=60, num_features=2, hidden=8)
    return HybridFitConfig(
        avatar=HybridAvatarConfig(
            canonical=HybridConfig(num_gaussians=1500, sh_degree=1),
            deform=DeformConfig(correctives=correctives, light=NormalLightConfig()),
            refine=RefineConfig(poses=True, joints=True, cameras=True, exposure=True),
        ),
        adapt=AdaptConfig(start=0.2, rounds=3, max_gaussians=1700, walk_every=7),
        clothe=None,
        checkpoint_seconds=1000.0,
    )


@pytest.fixture
def start(sample: Capture, corner: Split, recipe: HybridFitConfig) -> Callable[..., HybridFit]:
    """A fit in a folder, new or taken up."""

    def start(run: Path, config: HybridFitConfig = recipe, steps: int = 20, split: Split = corner) -> HybridFit:
        return HybridFit(sample, split, run, config, Limits(steps=steps))

    return start
