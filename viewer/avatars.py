"""Avatars of runs in memory, as the page takes them."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from avatar.checkpoint import load_hybrid
from avatar.export import web_scene
from avatar.model import HybridAvatar

from .newest import Newest
from .runs import RunFolder

MOST_AVATARS = 3


@dataclass(frozen=True, kw_only=True, eq=False)
class Loaded:
    """An avatar; ``version`` tells it from that of any other checkpoint."""

    name: str
    version: str
    avatar: HybridAvatar

    @cached_property
    def scene(self) -> bytes:
        """What the page shows."""
        return web_scene(self.avatar, self.name)


class Avatars:
    """The avatars looked at last."""

    def __init__(self) -> None:
        self._kept: Newest[Loaded] = Newest(MOST_AVATARS)

    def of(self, run: RunFolder) -> Loaded:
        """The avatar of the newest checkpoint. FileNotFoundError or ValueError say in one line why there is none."""
        checkpoint = run.checkpoint()
        while True:
            try:
                return self._of(run.name, checkpoint)
            except (FileNotFoundError, ValueError):
                # A fit that has a newer one deletes the checkpoint that is being read.
                newer = run.checkpoint()
                if newer == checkpoint:
                    raise
                checkpoint = newer

    def _of(self, name: str, checkpoint: Path) -> Loaded:
        version = version_of(checkpoint)

        def load() -> Loaded:
            return Loaded(name=name, version=version, avatar=load_hybrid(checkpoint).eval())

        return self._kept.get((checkpoint, version), load)


def version_of(checkpoint: Path) -> str:
    """What tells a checkpoint from any other."""
    return f"{checkpoint.name}-{(checkpoint / 'avatar.safetensors').stat().st_mtime_ns:x}"
