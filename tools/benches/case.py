"""What a module of benchmarks offers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Case:
    """One thing to time. A module offers ``cases() -> list[Case]``, which run in turns, in this order.

    Attributes:
        scene: what it runs on, such as ``50k 512²``.
        passes: what is done with it, such as ``forward`` or ``both``.
        run: does it once.
        by: who does it: ``engine``, or a peer, which is compared with the engine's case of the same scene and passes.
        goal_ms: wanted of the median on two free cores.
        floor_ms: the most that is accepted.
        rounds: how often at most; slow peers need few.
        alone: whether it runs without the case before it; parts of a larger whole do not.
    """

    scene: str
    passes: str
    run: Callable[[], object]
    by: str = "engine"
    goal_ms: int | float | None = None
    floor_ms: int | float | None = None
    rounds: int | None = None
    alone: bool = True


@dataclass(frozen=True, kw_only=True)
class Curve:
    """How time grows with something. A module may offer ``curves() -> list[Curve]``.

    Attributes:
        name: what is timed, such as ``rasterize, 512²``.
        along: what grows, such as ``Gaussians``.
        points: the amount, more than zero, and the case that has so much.
    """

    name: str
    along: str
    points: Sequence[tuple[int | float, Case]]
