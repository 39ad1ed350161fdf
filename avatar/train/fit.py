"""Fit one avatar to one capture."""

import json
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from avatar.checkpoint import (
    load_avatar,
    load_tensors,
    newest_checkpoint,
    save_avatar,
    save_tensors,
    to_json,
    write_checkpoint,
)
from avatar.losses import Arap, LossConfig, MotionConfig, MotionTerms, SurfaceConfig, SurfaceTerms, compare
from avatar.model import Avatar, AvatarConfig
from avatar.render import Device, RenderConfig, render
from avatar.structs import Capture, Frame, Pose, Split

from .adapt import AdaptConfig, Demand, adapt, walk
from .clothe import ClotheConfig, clothe
from .events import Events
from .optimizer import LearningRates, Optimizer
from .schedule import Schedule
from .unseen import Unseen, UnseenConfig

_EVENT_STEPS = 10
_MOST_PASSES = 60  # over the pictures of one camera; of c cameras c^2 as many


@dataclass(frozen=True, kw_only=True)
class Limits:
    """When a run ends: after ``steps``, or after ``budget_seconds`` of training, whichever is given.

    A run limited by steps is reproducible bit for bit; one limited by time depends on the machine's speed.
    """

    steps: int | None = 4000
    budget_seconds: float | None = None

    def __post_init__(self) -> None:
        given = [value for value in (self.steps, self.budget_seconds) if value is not None]
        if not given or not all(value > 0 for value in given):
            raise ValueError(
                f"Limits: expected positive steps or budget_seconds, got {self.steps}, {self.budget_seconds}"
            )

    def fraction(self, step: int, seconds: float) -> float:
        """How much of the run is over, 0 to 1."""
        by_steps = step / self.steps if self.steps else 0.0
        by_time = seconds / self.budget_seconds if self.budget_seconds else 0.0
        return min(1.0, max(by_steps, by_time))


@dataclass(frozen=True, kw_only=True)
class FitConfig:
    """A recipe: everything about a fit but the data and its length.

    Attributes:
        avatar: what is fitted.
        losses: what the pictures ask for.
        rates: step sizes, times ``rate_factor`` over the run.
        adapt: how the number of Gaussians changes.
        surface: what keeps the displaced template smooth.
        clothe: how the clothed surface is found from the masks, before the first step; None for not at all.
        motion: what keeps pose-dependent offsets small and even.
        unseen: what no picture shows.
        view_dependence: weight of the squared higher harmonics of colour, over the square of the number of cameras.
        checkpoint_seconds: time between checkpoints.
        seed: of everything random.
    """

    avatar: AvatarConfig = field(default_factory=AvatarConfig)
    losses: LossConfig = field(default_factory=LossConfig)
    rates: LearningRates = field(default_factory=LearningRates)
    rate_factor: Schedule = field(default_factory=lambda: Schedule(knots=((0.3, 1.0), (1.0, 0.08))))
    adapt: AdaptConfig = field(default_factory=AdaptConfig)
    surface: SurfaceConfig = field(default_factory=SurfaceConfig)
    clothe: ClotheConfig | None = field(default_factory=ClotheConfig)
    motion: MotionConfig = field(default_factory=MotionConfig)
    unseen: UnseenConfig = field(default_factory=UnseenConfig)
    view_dependence: float = 1.0
    checkpoint_seconds: float = 20.0
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("view_dependence", "checkpoint_seconds"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"FitConfig.{name}: expected zero or more, got {getattr(self, name)}")


@dataclass(frozen=True, kw_only=True)
class StepReport:
    """What one step did: for progress bars."""

    step: int
    seconds: float
    fraction: float
    loss: float
    psnr: float
    num_gaussians: int


class Fit:
    """A run in a folder: iterate over it to take steps; what is there already is taken up where it stopped.

    On ``device`` the backend of its name renders; a run begun on one may go on on the other.
    """

    def __init__(
        self, capture: Capture, split: Split, run: Path, config: FitConfig, limits: Limits, device: Device = "cpu"
    ) -> None:
        self.capture, self.split, self.run, self.config, self.limits = capture, split, run, config, limits
        self.device: Device = device
        self.pairs = split.pairs()
        self.step, self.seconds, self.rounds, self.completions = 0, 0.0, 0, 0
        if any(run.glob("checkpoint-*")):
            self._resume()
        else:
            self._begin()
        self._surface = SurfaceTerms(self.avatar.template, config.surface)
        correctives, num_cameras = self.avatar.deform.correctives, len(split.camera_ids)
        self._motion = correctives and MotionTerms(correctives.control_points, num_cameras, config.motion)
        self._arap = Arap(self.avatar.template) if self.avatar.deform.graph and config.motion.arap else None
        self._unseen = Unseen(self.avatar, capture, split, config.unseen)
        self._events = Events(run / "events.jsonl", self.step)
        self._saved_at = self.seconds
        self._recent: list[tuple[float, float]] = []

    def _begin(self) -> None:
        frames = self.split.frame_ids
        poses = self.capture.poses
        rows = torch.tensor(frames)
        poses = replace(poses, local_quats=poses.local_quats[rows], root_position_world=poses.root_position_world[rows])
        self.run.mkdir(parents=True, exist_ok=True)
        self.avatar = Avatar(
            shape=self.capture.shape,
            poses=poses,
            frame_ids=frames,
            config=self.config.avatar,
            rig=self.capture.rig,
            cameras=[self.capture.cameras[camera].name for camera in self.split.camera_ids],
            seed=self.config.seed,
        )
        if self.config.clothe is not None:
            start = time.perf_counter()
            self.avatar.canonical.shell = clothe(self.avatar, self.capture, self.split, self.config.clothe)
            self.seconds += time.perf_counter() - start
        self.avatar.to(self.device)
        self.optimizer = Optimizer(self.avatar, self.config.rates)
        self.demand = Demand(self.avatar.canonical.num_gaussians, self.device)

    def _resume(self) -> None:
        folder = newest_checkpoint(self.run)
        try:
            progress = json.loads((folder / "training.json").read_text())
            found = {name: progress[name] for name in self._identity()}
            self.step, self.seconds = progress["step"], progress["seconds"]
            self.rounds, self.completions = progress["rounds"], progress["completions"]
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{folder / 'training.json'}: damaged ({error!r}); fit again with --overwrite") from error
        for name, wanted in self._identity().items():
            if found[name] != wanted:
                raise ValueError(f"{self.run}: holds a fit with another {name}; give another --run, or --overwrite")
        self.avatar = load_avatar(folder, self.device)
        tensors = load_tensors(folder / "training.safetensors")
        self.demand = Demand(self.avatar.canonical.num_gaussians, self.device)
        self.demand.pull = tensors.pop("demand").to(self.device)
        self.optimizer = Optimizer(self.avatar, self.config.rates)
        self.optimizer.load(tensors)

    def _identity(self) -> dict[str, Any]:
        """What a run must have in common with the one it takes up."""
        return {"capture": self.capture.name, "split": self.split.name, "recipe": to_json(self.config)}

    def save(self) -> Path:
        """Write a checkpoint now."""
        progress = {
            **self._identity(),
            "step": self.step,
            "seconds": self.seconds,
            "rounds": self.rounds,
            "completions": self.completions,
        }

        def fill(folder: Path) -> None:
            save_avatar(self.avatar, folder)
            save_tensors(folder / "training.safetensors", {**self.optimizer.tensors(), "demand": self.demand.pull})
            (folder / "training.json").write_text(json.dumps(progress))

        self._saved_at = self.seconds
        return write_checkpoint(self.run, self.step, fill)

    def frame(self, step: int) -> Frame:
        """The picture of a step: every picture once an epoch, in an order that the seed and the epoch fix."""
        epoch, place = divmod(step, len(self.pairs))
        generator = torch.Generator().manual_seed(self.config.seed * 1_000_003 + epoch)
        frame_id, camera_id = self.pairs[int(torch.randperm(len(self.pairs), generator=generator)[place])]
        return self.capture.load_frame(frame_id, camera_id, True)

    @property
    def fraction(self) -> float:
        """How much of the run is over, 0 to 1.

        A run limited by time ends earlier where more passes over few pictures would only fit them by heart: from one
        camera novel views are best after 60.
        """
        fraction = self.limits.fraction(self.step, self.seconds)
        if self.limits.budget_seconds is None:
            return fraction
        most_steps = _MOST_PASSES * len(self.split.camera_ids) ** 2 * len(self.pairs)
        return min(1.0, max(fraction, self.step / most_steps))

    def __iter__(self) -> Iterator[StepReport]:
        """Take steps until the limit, and one at least; checkpoints are written on the way and at the end."""
        while self.fraction < 1 or self.step == 0:
            start = time.perf_counter()
            frame = self.frame(self.step)
            frame = frame if self.device == "cpu" else frame.to(self.device)
            fraction = self.fraction
            self._rearrange(fraction)
            loss, psnr = self._descend(frame, fraction)
            self.step += 1
            self.seconds += time.perf_counter() - start
            report = StepReport(
                step=self.step,
                seconds=self.seconds,
                fraction=self.fraction,
                loss=loss,
                psnr=psnr,
                num_gaussians=self.avatar.canonical.num_gaussians,
            )
            self._log(report)
            if self.fraction >= 1 or self.seconds - self._saved_at >= self.config.checkpoint_seconds:
                self.save()
            yield report

    def _rearrange(self, fraction: float) -> None:
        """Between two steps: what changes Gaussians other than by their gradient."""
        canonical = self.avatar.canonical
        if self.config.adapt.rounds_due(fraction) > self.rounds:
            self.rounds += 1
            adapt(canonical, self.optimizer, self.demand, self.config.adapt, self.step)
            self.demand = Demand(canonical.num_gaussians, self.device)
        if self.config.adapt.walks_at(self.step):
            walk(canonical, self.optimizer)
        if self.config.unseen.rounds_due(fraction) > self.completions:
            self.completions += 1
            self._unseen.complete(canonical)

    def _descend(self, frame: Frame, fraction: float) -> tuple[float, float]:
        avatar = self.avatar
        body = avatar.body(avatar.shape, frame.pose, frame.camera.name)
        scene = avatar.deform(avatar.canonical(), body)
        probe = torch.zeros(avatar.canonical.num_gaussians, 2, requires_grad=True, device=self.device)
        image = render(scene, frame.camera, RenderConfig(backend=self.device), probe)
        image = avatar.exposed(image, frame.camera.name)
        terms = compare(image, frame, self.config.losses)
        (terms.total + self._priors(body.pose)).backward()
        # Of the gradient, not of the loss: a Gaussian that is no number is not drawn, and the loss looks healthy.
        gradients = [parameter.grad for parameter in avatar.parameters() if parameter.grad is not None]
        if not bool(torch.nn.utils.get_total_norm(gradients).isfinite()):
            raise ValueError(
                f"{self.run}: step {self.step}: the gradient is no number in frame {frame.frame_id} of camera "
                f"{frame.camera.name}; lower the rates, or leave that picture out of the split"
            )
        assert probe.grad is not None
        is_seen = self._unseen.seen(avatar.canonical)
        self.demand.add(probe.grad * is_seen[:, None], max(frame.camera.height, frame.camera.width))
        self._unseen.hold(avatar)
        self.optimizer.step(self.config.rate_factor(fraction))
        error = (image.color.detach() - frame.image).square().mean()
        return float(terms.total.detach()), -10 * math.log10(max(float(error), 1e-10))

    def _priors(self, pose: Pose) -> Float[Tensor, ""]:
        avatar = self.avatar
        total = self._surface(avatar.canonical.displacement) + avatar.correction_cost()
        if avatar.canonical.sh_rest.numel():
            weight = self.config.view_dependence / len(self.split.camera_ids) ** 2
            total = total + weight * avatar.canonical.sh_rest.square().mean()
        correctives, graph = avatar.deform.correctives, avatar.deform.graph
        if self._motion is not None and correctives is not None:
            total = total + self._motion(correctives.offsets(pose))
            if self._arap is not None and graph is not None:
                coefficients = correctives.coefficients(pose)
                moved = graph.moved_vertices(avatar.template.vertices, coefficients)
                weight = self.config.motion.arap / len(self.split.camera_ids)
                total = total + weight * self._arap(moved, graph.vertex_turns(coefficients))
        return total

    def _log(self, report: StepReport) -> None:
        self._recent.append((report.loss, report.psnr))
        if report.step % _EVENT_STEPS == 0:
            loss, psnr = (sum(values) / len(values) for values in zip(*self._recent, strict=True))
            self._recent.clear()
            self._events.add(
                step=report.step,
                seconds=round(report.seconds, 3),
                loss=loss,
                psnr=psnr,
                num_gaussians=report.num_gaussians,
            )
