"""A prior for radiance fields: frames of captures are the tasks, of one person or of several."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from avatar.canonical import CanonicalField
from avatar.checkpoint import load_field, save_avatar, to_json
from avatar.model import FieldAvatar, FieldAvatarConfig
from avatar.render import Device
from avatar.structs import Capture, Split

from ..field_fit import FieldFitConfig, FieldRates, new_field_avatar
from ..field_step import FieldStepConfig, look
from ..pixels import PixelStore
from ..run import Limits
from ..template_start import TemplateStartConfig, start_at_template
from .fit import MetaConfig, MetaFit
from .method import FirstOrderMaml, Reptile
from .ranks import ALONE, Ranks

_HELD_OUT_EVERY = 4


@dataclass(frozen=True, kw_only=True)
class FieldMetaConfig:
    """A recipe for a prior: everything but the captures and the run's length.

    Attributes:
        avatar: what is learnt.
        look: what an inner step looks at.
        template: how it begins as the naked body; None for a sphere.
        meta: how it is learnt.
    """

    avatar: FieldAvatarConfig = field(default_factory=FieldAvatarConfig)
    look: FieldStepConfig = field(default_factory=FieldStepConfig)
    template: TemplateStartConfig | None = field(default_factory=TemplateStartConfig)
    meta: MetaConfig = field(default_factory=MetaConfig)


class FieldMetaFit(MetaFit):
    """Learns the canonical field from which fits of single frames begin (MetaCap, Sun et al. 2024).

    All persons share the canonical frame of the first capture's. The tasks of a step are frames of any of them.

    Attributes:
        avatar: the first person with the prior as field, which checkpoints hold.
    """

    def __init__(
        self,
        captures: Sequence[tuple[Capture, Split]],
        run: Path,
        config: FieldMetaConfig,
        limits: Limits,
        device: Device = "cpu",
        ranks: Ranks = ALONE,
    ) -> None:
        (first, split), *others = captures
        for capture, _ in others:
            if capture.rig != first.rig:
                raise ValueError(
                    f"captures: expected one skeleton, got {first.rig!r} in {first.name} and {capture.rig!r} in "
                    f"{capture.name}; learn a prior from each"
                )
        self.recipe = config
        fit_config = FieldFitConfig(avatar=config.avatar, template=None, seed=config.meta.seed)
        self.avatar = new_field_avatar(first, split, fit_config).to(device)
        tasks: list[FrameTask] = []
        for capture, split in captures:
            avatar = new_field_avatar(capture, split, fit_config, self.avatar).to(device)
            shown, held_out = _cameras(split, config.meta)
            stores = (PixelStore(capture, shown), PixelStore(capture, held_out))
            names = {frame: f"frame {frame} of {capture.name}" for frame in split.frame_ids}
            tasks += [FrameTask(names[frame], avatar, frame, stores, config.look, device) for frame in names]
        super().__init__(self.avatar.canonical, tasks, run, config.meta, limits, ranks)

    def _begin(self) -> None:
        start = time.perf_counter()
        if self.recipe.template is not None:
            start_at_template(self.avatar, self.recipe.template, FieldRates(), self.config.seed)
        self.seconds += time.perf_counter() - start

    def _identity(self) -> dict[str, Any]:
        return {**super()._identity(), "recipe": to_json(self.recipe)}

    def _load_prior(self, checkpoint: Path) -> Mapping[str, Tensor]:
        return load_field(checkpoint).canonical.state_dict()

    def _save_prior(self, checkpoint: Path) -> None:
        save_avatar(self.avatar, checkpoint)


def _cameras(split: Split, config: MetaConfig) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Those that inner steps use, and those that a method wants to be held out from them."""
    cameras = split.camera_ids
    match config.method:
        case Reptile():
            return cameras, ()
        case FirstOrderMaml():
            if len(cameras) < 2:
                raise ValueError(f"split {split.name!r}: first-order MAML holds cameras out; expected two, got one")
            held_out = cameras[_HELD_OUT_EVERY - 1 :: _HELD_OUT_EVERY] or cameras[-1:]
            return tuple(camera for camera in cameras if camera not in held_out), held_out


@dataclass(frozen=True, eq=False)
class FrameTask:
    """One moment of a capture: to see what its cameras saw.

    Attributes:
        name: which.
        avatar: the person, whose field is put in its place.
        frame_id: of the moment.
        stores: pixels of the cameras that inner steps use, and of those held out.
        config: what a step looks at.
        device: where.
    """

    name: str
    avatar: FieldAvatar
    frame_id: int
    stores: tuple[PixelStore, PixelStore]
    config: FieldStepConfig
    device: Device

    def look(self, module: nn.Module, step: int, generator: torch.Generator) -> tuple[Float[Tensor, ""], float]:
        """Rays of the cameras that inner steps use."""
        return self._look(module, self.stores[0], generator)

    def held_out(self, module: nn.Module, generator: torch.Generator) -> Float[Tensor, ""]:
        """Rays of the others."""
        return self._look(module, self.stores[1], generator)[0]

    def _look(self, module: nn.Module, store: PixelStore, generator: torch.Generator) -> tuple[Tensor, float]:
        assert isinstance(module, CanonicalField)
        self.avatar.canonical = module
        seen = look(self.avatar, store[self.frame_id], self.config, generator, self.device)
        return seen.loss, seen.psnr
