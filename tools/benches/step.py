"""One training step on the embedded sample, part by part."""

import tempfile
from itertools import islice
from pathlib import Path

from torch import Tensor

from avatar.captures import open_capture
from avatar.losses import compare
from avatar.render import render
from avatar.structs import Body, Frame, Gaussians, Rendering
from avatar.train import HybridFit, Limits

from ...configs.hybrid import hybrid
from .case import Case

SAMPLE, SPLIT = Path("data/samples/dancer"), "train"
PARTS = ("picture", "body", "canonical", "deform", "render", "losses", "backward", "optimizer")
ROUNDS = 50


class Steps:
    """A fit whose steps are taken part by part, in the order of ``PARTS``, or whole by the trainer."""

    frame: Frame
    body_: Body
    scene: Gaussians
    image: Rendering
    loss: Tensor

    def __init__(self) -> None:
        if not SAMPLE.is_dir():
            raise ValueError(f"{SAMPLE}: no such capture here; run from the root of the repository")
        self._folder = tempfile.TemporaryDirectory()
        capture = open_capture(SAMPLE, SPLIT)
        run, limits = Path(self._folder.name), Limits(steps=100_000)
        self.fit = HybridFit(capture, capture.split(SPLIT), run, hybrid(), limits)
        self._steps = iter(self.fit)
        for _ in islice(self._steps, len(self.fit.pairs)):  # pictures are decoded in the first round
            pass

    def whole(self) -> None:
        """A step by the trainer."""
        next(self._steps)

    def picture(self) -> None:
        self.frame = self.fit.frame(self.fit.step)

    def body(self) -> None:
        self.body_ = self.fit.avatar.body(self.fit.avatar.shape, self.frame.pose)

    def canonical(self) -> None:
        self.scene = self.fit.avatar.canonical()

    def deform(self) -> None:
        self.scene = self.fit.avatar.deform(self.scene, self.body_)

    def render(self) -> None:
        self.image = render(self.scene, self.frame.camera)

    def losses(self) -> None:
        self.loss = compare(self.image, self.frame, self.fit.config.losses).total

    def backward(self) -> None:
        self.loss.backward()

    def optimizer(self) -> None:
        self.fit.optimizer.step(1.0)


def cases() -> list[Case]:
    """The parts of a step, and one by the trainer. ValueError without the sample."""
    steps = Steps()
    scene = f"{steps.fit.avatar.canonical.num_gaussians // 1000}k, 8 cameras, cropped"
    parts = [Case(scene=scene, passes=p, run=getattr(steps, p), rounds=ROUNDS, alone=False) for p in PARTS]
    return [*parts, Case(scene=scene, passes="both", run=steps.whole, goal_ms=13, floor_ms=18, rounds=ROUNDS)]
