"""Which joint of a motion moves which joint of another skeleton."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from avatar.structs import Skeleton

from .alignment import POINTING
from .joint_names import FINGERS, Parts, bare_part

_SPREAD = ("spine", "neck", "clavicle")
"""Parts of several joints that bend a little each."""
_CHAINS = (*POINTING, "foot", "head")
"""Parts of several joints of which the last moves the whole."""
_INSTEAD = {"pelvis": ("pelvis",), "fingers": ("middle", "index")} | dict.fromkeys(FINGERS[1:], ("fingers",))
"""Which part of the source moves one of the target that it does not have."""


@dataclass(frozen=True, kw_only=True)
class Mover:
    """The source joint that moves a target joint, ``share`` of the way to it from another."""

    joint: int
    other: int
    share: float = 1.0


def movers_between(source: Skeleton, target: Skeleton, theirs: Parts, ours: Parts) -> dict[int, Mover]:
    """By target joint. Skeletons of the same names are mapped by them."""
    rows = {name: joint for joint, name in enumerate(source.joint_names)}
    if set(target.joint_names) <= set(rows):
        found = [rows[name] for name in target.joint_names]
        return {joint: Mover(joint=row, other=row) for joint, row in enumerate(found)}
    movers: dict[int, Mover] = {}
    for part, levels in ours.items():
        bare = bare_part(part)
        side = part.removesuffix(bare)
        names = (part, *(name for instead in _INSTEAD.get(bare, ()) for name in (f"{side}{instead}", instead)))
        sources = next((theirs[name] for name in names if name in theirs), None)
        for level, joints in enumerate(levels):
            mover = _mover(source, bare, sources, level, len(levels)) if sources else None
            movers |= {joint: mover for joint in joints if mover}
    return movers


def _mover(source: Skeleton, bare: str, levels: Sequence[Sequence[int]], level: int, count: int) -> Mover | None:
    """What moves level ``level`` of ``count`` of a part that the source has in ``levels``."""
    whole = (level + 1) * len(levels) / count
    row = math.ceil(whole) - 1 if bare in (*_SPREAD, *_CHAINS) else level
    if row >= len(levels):
        return None
    joint = levels[row][0]
    if bare not in _SPREAD:
        return Mover(joint=joint, other=joint)
    before = levels[row - 1][0] if row else max(source.parents[joint], 0)
    return Mover(joint=joint, other=before, share=whole - row)
