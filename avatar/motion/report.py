"""What became of a motion file's joints."""

from collections.abc import Sequence
from dataclasses import dataclass

MOST_LISTED = 12


@dataclass(frozen=True, kw_only=True)
class RetargetReport:
    """What became of a motion's joints.

    Attributes:
        source: name of the motion file.
        mapped: joints of the target, each with the joint of the source that moves it.
        unmapped_source: joints of the source that move nothing, nor carry one that does.
        resting_target: joints of the target that stay as at rest against their parents.
        scale: what the root's path was multiplied by, the ratio of the lengths of the legs.
        ground_shift_m: how far the motion was lifted; the mean where every time step has its own.
        frames, frame_rate_hz: of the outcome.
        notes: what was assumed.
    """

    source: str
    mapped: tuple[tuple[str, str], ...]
    unmapped_source: tuple[str, ...]
    resting_target: tuple[str, ...]
    scale: float
    ground_shift_m: float
    frames: int
    frame_rate_hz: float
    notes: tuple[str, ...]

    def rows(self) -> list[tuple[str, str]]:
        """What a user wants to know, as a short table of what and how."""
        joints = len(self.mapped) + len(self.resting_target)
        rows = [
            (
                "motion",
                f"{self.frames} time steps at {self.frame_rate_hz:g} Hz, {self.frames / self.frame_rate_hz:.1f} s",
            ),
            ("joints", f"{len(self.mapped)} of the avatar's {joints} move"),
            ("at rest", _listed(self.resting_target)),
            ("not used", _listed(self.unmapped_source)),
            ("path", f"scaled by {self.scale:.3g}, lifted by {self.ground_shift_m:.3f} m"),
            *(("note", note) for note in self.notes),
        ]
        return [row for row in rows if row[1]]


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:MOST_LISTED])
    return f"{shown} and {len(names) - MOST_LISTED} more" if len(names) > MOST_LISTED else shown
