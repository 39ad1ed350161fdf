"""One training step on the embedded sample, part by part."""

import tempfile
from itertools import islice
from pathlib import Path

from avatar.captures import open_capture
from avatar.losses import compare
from avatar.render import render
from avatar.train import Fit, Limits

from ...configs import make_recipe
from .clock import Part

SAMPLE, SPLIT = Path("data/samples/dancer"), "train"
PARTS = ("picture", "body", "canonical", "deform", "render", "losses", "backward", "optimizer")


def bench_step(rounds: int) -> list[dict[str, object]]:
    """The parts of ``rounds`` steps taken here, and as many by the trainer. ValueError without the sample."""
    if not SAMPLE.is_dir():
        raise ValueError(f"{SAMPLE}: no such capture here; run from the root of the repository")
    capture = open_capture(SAMPLE, SPLIT)
    with tempfile.TemporaryDirectory() as folder:
        fit = Fit(capture, capture.split(SPLIT), Path(folder), make_recipe("hybrid", 0), Limits(steps=100_000))
        parts = {name: Part(name=name) for name in (*PARTS, "step")}
        steps = iter(fit)
        for _ in islice(steps, len(fit.pairs)):  # pictures are decoded in the first round
            pass
        for _ in range(rounds):
            _take_step(fit, parts)
            with parts["step"].measured():
                next(steps)
    return [{"what": part.name, "rounds": rounds, **part.figures()} for part in parts.values()]


def _take_step(fit: Fit, parts: dict[str, Part]) -> None:
    avatar, measured = fit.avatar, {name: part.measured for name, part in parts.items()}
    with measured["picture"]():
        frame = fit.frame(fit.step)
    with measured["body"]():
        body = avatar.body(avatar.shape, frame.pose)
    with measured["canonical"]():
        scene = avatar.canonical()
    with measured["deform"]():
        scene = avatar.deform(scene, body)
    with measured["render"]():
        image = render(scene, frame.camera)
    with measured["losses"]():
        loss = compare(image, frame, fit.config.losses).total
    with measured["backward"]():
        loss.backward()
    with measured["optimizer"]():
        fit.optimizer.step(1.0)
