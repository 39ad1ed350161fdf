"""A small fit of the sample for ``test_kills.py`` to kill: ``python killed_fit.py RUN``; it takes up what is there.

Says "ready" before the first step. It saves so often that most of the time it is saving.
"""

import sys
from pathlib import Path

import torch

from avatar.canonical import HybridConfig
from avatar.captures import open_capture
from avatar.deform import CorrectivesConfig, DeformConfig, RefineConfig
from avatar.engine import set_threads
from avatar.model import HybridAvatarConfig
from avatar.structs import Split
from avatar.train import AdaptConfig, HybridFit, HybridFitConfig, Limits

SAMPLE = Path(__file__).resolve().parents[2] / "data" / "samples" / "dancer"
STEPS = 40

if __name__ == "__main__":
    torch.set_num_threads(1)
    set_threads(1)
    correctives = CorrectivesConfig(num_modes=4, num_control_points=60)
    recipe = HybridFitConfig(
        avatar=HybridAvatarConfig(
            canonical=HybridConfig(num_gaussians=2000),
            deform=DeformConfig(correctives=correctives),
            refine=RefineConfig(poses=True, joints=True, cameras=True, exposure=True),
        ),
        adapt=AdaptConfig(rounds=10, max_gaussians=3000, walk_every=3),
        checkpoint_seconds=0.03,
    )
    split = Split(name="corner", frame_ids=(0, 7, 14), camera_ids=(0, 3))
    fit = HybridFit(open_capture(SAMPLE), split, Path(sys.argv[1]), recipe, Limits(steps=STEPS))
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    for _ in fit:
        pass
