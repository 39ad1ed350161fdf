"""Fit Gaussians on a mesh to one capture."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from avatar.checkpoint import load_hybrid, load_tensors, save_avatar, save_tensors, to_json
from avatar.losses import Arap, LossConfig, MotionConfig, MotionTerms, SurfaceConfig, SurfaceTerms, compare
from avatar.model import FieldAvatar, HybridAvatar, HybridAvatarConfig
from avatar.render import Device, RenderConfig, render
from avatar.structs import Capture, Frame, Pose, Split

from .adapt import AdaptConfig, Demand, adapt, walk
from .clothe import ClotheConfig, clothe
from .field_fit import fingerprint
from .from_field import hybrid_from_field
from .optimizer import LearningRates, Optimizer, has_finite_gradient
from .order import shuffled
from .run import Limits, Run, psnr_of
from .schedule import Schedule
from .unseen import Unseen, UnseenConfig

_MOST_PASSES = 60  # over the pictures of one camera; of c cameras c^2 as many


@dataclass(frozen=True, kw_only=True)
class HybridFitConfig:
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

    avatar: HybridAvatarConfig = field(default_factory=HybridAvatarConfig)
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
                raise ValueError(f"HybridFitConfig.{name}: expected zero or more, got {getattr(self, name)}")


class HybridFit(Run):
    """A fit of Gaussians to a capture, in a folder: iterate over it to take steps.

    On ``device`` the backend of its name renders; a run begun on one may go on on the other. With a radiance field
    of the person as ``source`` the Gaussians begin on its surface and in its colours.
    """

    def __init__(
        self,
        capture: Capture,
        split: Split,
        run: Path,
        config: HybridFitConfig,
        limits: Limits,
        device: Device = "cpu",
        source: FieldAvatar | None = None,
    ) -> None:
        self.capture, self.split, self.config, self.source = capture, split, config, source
        self.device: Device = device
        self.pairs = split.pairs()
        self.rounds, self.completions = 0, 0
        super().__init__(run, limits, config.checkpoint_seconds)
        self._surface = SurfaceTerms(self.avatar.template, config.surface)
        correctives, num_cameras = self.avatar.deform.correctives, len(split.camera_ids)
        self._motion = correctives and MotionTerms(correctives.control_points, num_cameras, config.motion)
        self._arap = Arap(self.avatar.template) if self.avatar.deform.graph and config.motion.arap else None
        self._unseen = Unseen(self.avatar, capture, split, config.unseen)

    def _begin(self) -> None:
        frames = self.split.frame_ids
        self.avatar = HybridAvatar(
            shape=self.capture.shape,
            poses=self.capture.poses[list(frames)],
            frame_ids=frames,
            config=self.config.avatar,
            rig=self.capture.rig,
            cameras=[self.capture.cameras[camera].name for camera in self.split.camera_ids],
            seed=self.config.seed,
        )
        start = time.perf_counter()
        if self.source is not None:
            hybrid_from_field(self.avatar, self.source)
        elif self.config.clothe is not None:
            self.avatar.canonical.shell = clothe(self.avatar, self.capture, self.split, self.config.clothe)
        self.seconds += time.perf_counter() - start
        self.avatar.to(self.device)
        self.optimizer = Optimizer(self.avatar, self.config.rates)
        self.demand = Demand(self.avatar.canonical.num_gaussians, self.device)

    def _restore(self, checkpoint: Path, progress: Mapping[str, Any]) -> None:
        self.rounds, self.completions = progress["rounds"], progress["completions"]
        self.avatar = load_hybrid(checkpoint, self.device)
        tensors = load_tensors(checkpoint / "training.safetensors")
        self.demand = Demand(self.avatar.canonical.num_gaussians, self.device)
        self.demand.pull = tensors.pop("demand").to(self.device)
        self.optimizer = Optimizer(self.avatar, self.config.rates)
        self.optimizer.load(tensors)

    def _identity(self) -> dict[str, Any]:
        """What a run must have in common with the one it takes up."""
        return {
            "capture": self.capture.name,
            "split": self.split.name,
            "recipe": to_json(self.config),
            "source": self.source and fingerprint(self.source),
        }

    def _progress(self) -> dict[str, Any]:
        return {"rounds": self.rounds, "completions": self.completions}

    def _fill(self, checkpoint: Path) -> None:
        save_avatar(self.avatar, checkpoint)
        save_tensors(checkpoint / "training.safetensors", {**self.optimizer.tensors(), "demand": self.demand.pull})

    def frame(self, step: int) -> Frame:
        """The picture of a step: every picture once an epoch, in an order that the seed and the epoch fix."""
        frame_id, camera_id = self.pairs[shuffled(step, len(self.pairs), self.config.seed)]
        return self.capture.load_frame(frame_id, camera_id, True)

    @property
    def fraction(self) -> float:
        """How much of the run is over, 0 to 1.

        A run limited by time ends earlier where more passes over few pictures would only fit them by heart: from one
        camera novel views are best after 60.
        """
        fraction = super().fraction
        if self.limits.budget_seconds is None:
            return fraction
        most_steps = _MOST_PASSES * len(self.split.camera_ids) ** 2 * len(self.pairs)
        return min(1.0, max(fraction, self.step / most_steps))

    @property
    def facts(self) -> dict[str, int]:
        """How many Gaussians there are."""
        return {"num_gaussians": self.avatar.canonical.num_gaussians}

    def _advance(self, fraction: float) -> tuple[float, float]:
        frame = self.frame(self.step)
        self._rearrange(fraction)
        return self._descend(frame if self.device == "cpu" else frame.to(self.device), fraction)

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
        if not has_finite_gradient(avatar):
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
        return float(terms.total.detach()), psnr_of(error)

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
