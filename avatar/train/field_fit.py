"""Fit a radiance field to one capture, to all its frames or to a single one; from scratch, or from a prior."""

import time
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from avatar.checkpoint import load_field, load_tensors, save_avatar, save_tensors, to_json
from avatar.model import FieldAvatar, FieldAvatarConfig
from avatar.render import Device
from avatar.structs import Capture, Split

from .field_step import FieldStepConfig, look
from .optimizer import Optimizer, check_rates, has_finite_gradient
from .order import shuffled
from .pixels import PixelStore
from .proxies import Proxies, ProxyConfig
from .run import Limits, Run
from .schedule import Schedule
from .template_start import TemplateStartConfig, start_at_template


@dataclass(frozen=True, kw_only=True)
class FieldRates:
    """Step size of each kind of parameter at the start of a run.

    Attributes:
        table: rows of the hash grid. nets, colors: weights and biases, those of the colour apart. sharpness: of the
            density around the surface.
        deform: what the warp, the light and the codes learn.
    """

    table: float = 1e-2
    nets: float = 2e-3
    colors: float = 5e-3
    sharpness: float = 2e-3
    deform: float = 1e-3

    def __post_init__(self) -> None:
        check_rates(self)

    def scaled(self, factor: float) -> "FieldRates":
        """All of them times ``factor``."""
        return FieldRates(**{name: factor * value for name, value in vars(self).items()})

    def of(self, parameter: str) -> float:
        """The rate of a parameter by its name in the avatar, such as ``canonical.table``."""
        match parameter.split("."):
            case ["canonical", "table"]:
                return self.table
            case ["canonical", "log_sharpness"]:
                return self.sharpness
            case ["canonical", "colors", *_]:
                return self.colors
            case ["canonical", *_]:
                return self.nets
            case _:
                return self.deform


@dataclass(frozen=True, kw_only=True)
class TightenConfig:
    """When cells far from the surface are emptied.

    Attributes:
        at: fractions of the run.
        margin_m: what stays on either side of the surface.
    """

    at: tuple[float, ...] = (0.25, 0.5, 0.75)
    margin_m: float = 0.03

    def __post_init__(self) -> None:
        if not all(0 <= fraction <= 1 for fraction in self.at) or list(self.at) != sorted(self.at):
            raise ValueError(f"TightenConfig.at: expected ascending fractions from 0 to 1, got {self.at}")
        if not self.margin_m > 0:
            raise ValueError(f"TightenConfig.margin_m: expected a positive length, got {self.margin_m}")

    def rounds_due(self, fraction: float) -> int:
        """How often it should have been done by then."""
        return sum(at <= fraction for at in self.at)


@dataclass(frozen=True, kw_only=True)
class FieldFitConfig:
    """A recipe: everything about a fit but the data, its length and what it starts from.

    Attributes:
        avatar: what is fitted.
        look: what a step looks at.
        rates: step sizes, times ``rate_factor`` over the run.
        template: how the field begins as the naked body where there is no prior; None for a sphere.
        proxies: how pictures of a prior hold what no camera sees; None for not at all.
        tighten: when empty space is left out.
        checkpoint_seconds: time between checkpoints.
        seed: of everything random.
    """

    avatar: FieldAvatarConfig = field(default_factory=FieldAvatarConfig)
    look: FieldStepConfig = field(default_factory=FieldStepConfig)
    rates: FieldRates = field(default_factory=FieldRates)
    rate_factor: Schedule = field(default_factory=lambda: Schedule(knots=((0.3, 1.0), (1.0, 0.08))))
    template: TemplateStartConfig | None = field(default_factory=TemplateStartConfig)
    proxies: ProxyConfig | None = field(default_factory=ProxyConfig)
    tighten: TightenConfig = field(default_factory=TightenConfig)
    checkpoint_seconds: float = 20.0
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.checkpoint_seconds >= 0:
            raise ValueError(f"FieldFitConfig.checkpoint_seconds: expected zero or more, got {self.checkpoint_seconds}")


class FieldFit(Run):
    """A fit of a radiance field in a folder: iterate over it to take steps, each of one moment seen by all cameras.

    With a ``prior`` the field starts as that one is, in its canonical frame; ``config.avatar`` must be the prior's.
    """

    def __init__(
        self,
        capture: Capture,
        split: Split,
        run: Path,
        config: FieldFitConfig,
        limits: Limits,
        device: Device = "cpu",
        prior: FieldAvatar | None = None,
    ) -> None:
        if prior is not None and prior.config != config.avatar:
            raise ValueError("FieldFit: expected the config of the prior's avatar, got another")
        if prior is not None and prior.rig != capture.rig:
            raise ValueError(f"FieldFit: expected a prior of the skeleton {capture.rig!r}, got {prior.rig!r}")
        self.capture, self.split, self.config, self.prior = capture, split, config, prior
        self.device: Device = device
        self.rounds, self._num_samples = 0, 0
        self._pixels = PixelStore(capture, split.camera_ids)
        start = time.perf_counter()
        self._proxies = self._proxies_of(prior)
        self._seconds_of_proxies = time.perf_counter() - start
        super().__init__(run, limits, config.checkpoint_seconds)

    def _proxies_of(self, prior: FieldAvatar | None) -> Proxies | None:
        """Pictures of the prior in the place of this person."""
        if prior is None or self.config.proxies is None:
            return None
        return Proxies.of(self._started, self.capture, self.split, self.config.proxies)

    @cached_property
    def _started(self) -> FieldAvatar:
        """The person as the fit begins."""
        return new_field_avatar(self.capture, self.split, self.config, self.prior)

    def _begin(self) -> None:
        start = time.perf_counter()
        self.avatar = self._started.to(self.device)
        self.seconds += time.perf_counter() - start + self._seconds_of_proxies
        self.optimizer = Optimizer(self.avatar, self.config.rates)

    def _restore(self, checkpoint: Path, progress: Mapping[str, Any]) -> None:
        self.rounds = progress["rounds"]
        self.avatar = load_field(checkpoint, self.device)
        self.optimizer = Optimizer(self.avatar, self.config.rates)
        self.optimizer.load(load_tensors(checkpoint / "training.safetensors"))

    def _identity(self) -> dict[str, Any]:
        return {
            "capture": self.capture.name,
            "split": self.split.name,
            "frames": list(self.split.frame_ids),
            "recipe": to_json(self.config),
            "prior": self.prior and fingerprint(self.prior),
        }

    def _progress(self) -> dict[str, Any]:
        return {"rounds": self.rounds}

    def _fill(self, checkpoint: Path) -> None:
        save_avatar(self.avatar, checkpoint)
        save_tensors(checkpoint / "training.safetensors", self.optimizer.tensors())

    @property
    def facts(self) -> dict[str, int]:
        """How often the field was asked in the last step."""
        return {"num_samples": self._num_samples}

    def frame_id(self, step: int) -> int:
        """The moment of a step: every one once an epoch, in an order that the seed and the epoch fix."""
        frames = self.split.frame_ids
        return frames[shuffled(step, len(frames), self.config.seed)]

    def _advance(self, fraction: float) -> tuple[float, float]:
        while self.config.tighten.rounds_due(fraction) > self.rounds:
            self.rounds += 1
            self.avatar.canonical.tighten(self.config.tighten.margin_m)
        generator = torch.Generator().manual_seed(self.config.seed * 1_000_003 + 7 * self.step + 1)
        frame_id = self.frame_id(self.step)
        seen = look(self.avatar, self._pixels[frame_id], self.config.look, generator, self.device, self._proxies)
        seen.loss.backward()
        if not has_finite_gradient(self.avatar):
            raise ValueError(
                f"{self.run}: step {self.step}: the gradient is no number in frame {frame_id}; lower the rates, or "
                "leave that frame out of the split"
            )
        self.optimizer.step(self.config.rate_factor(fraction))
        self._num_samples = seen.num_samples
        return float(seen.loss.detach()), seen.psnr


def fingerprint(field: FieldAvatar) -> int:
    """Tells fields apart, by what they have learnt in the canonical frame and the body they are around."""
    learnt = [field.canonical_shape.values, *field.canonical.state_dict().values()]
    return zlib.crc32(b"".join(tensor.detach().cpu().numpy().tobytes() for tensor in learnt))


def new_field_avatar(
    capture: Capture, split: Split, config: FieldFitConfig, prior: FieldAvatar | None = None
) -> FieldAvatar:
    """A field around the person of a capture: as it starts, or as a prior left it, with all of the band to fill."""
    avatar = FieldAvatar(
        shape=capture.shape,
        poses=capture.poses[list(split.frame_ids)],
        frame_ids=split.frame_ids,
        config=config.avatar,
        rig=capture.rig,
        cameras=[capture.cameras[camera].name for camera in split.camera_ids],
        canonical_shape=prior.canonical_shape if prior else None,
        seed=config.seed,
    )
    if prior is None and config.template is not None:
        start_at_template(avatar, config.template, config.rates, config.seed)
    if prior is not None:
        band = avatar.canonical.occupied.clone()
        avatar.canonical.load_state_dict(prior.canonical.state_dict())
        avatar.canonical.occupied = band
    return avatar
