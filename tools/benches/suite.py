"""What there is to measure, and how its figures come."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib import import_module
from types import ModuleType
from typing import Final

from avatar.engine import set_threads

from ..console import say
from .case import Case, Curve
from .clock import Row, figures, measure
from .machine import usable_cores

NAMES: Final = (
    "rasterize",
    "hash_grid",
    "field",
    "march",
    "composite",
    "skin",
    "closest_point",
    "mesh_raster",
    "losses",
    "step",
    "animate",
)
APART: Final = ("busy", "viewer")
"""What measures in its own way, and only when asked for by name."""


def measure_tables(name: str, rounds: int | None, curves: bool) -> Iterator[tuple[str, list[Row]]]:
    """Titles and rows of what ``avatar bench name`` measures. ImportError where a module lacks what it needs."""
    if name in APART:
        module = import_module(f".{name}", __package__)
        yield name, getattr(module, f"measure_{name}")(rounds)
        return
    for each in NAMES if name == "all" else (name,):
        try:
            module = import_module(f".{each}", __package__)
        except ImportError as error:
            if name != "all":
                raise
            say(f"bench {each}: left out: {error}")
            continue
        yield each, figures(measure(module.cases(), rounds))
        if curves and (rows := [row for curve in _curves(module) for row in _curve_rows(curve, rounds)]):
            yield f"{each}, curves", rows


def _curves(module: ModuleType) -> list[Curve]:
    """The curves that a module offers, and one over threads for each of the engine's cases that has a goal."""
    offered: list[Curve] = module.curves() if hasattr(module, "curves") else []
    judged = [case for case in module.cases() if case.by == "engine" and case.goal_ms is not None]
    return [*offered, *map(_over_threads, judged)]


def _curve_rows(curve: Curve, rounds: int | None) -> list[Row]:
    timings = measure([case for _, case in curve.points], rounds)
    return [
        {"curve": curve.name, "along": curve.along, "amount": amount, "median_ms": round(timing.median_ms, 3)}
        for (amount, _), timing in zip(curve.points, timings, strict=True)
    ]


def _over_threads(case: Case) -> Curve:
    counts = range(1, usable_cores() + 1)
    points = [(n, replace(case, run=_with_threads(n, case.run))) for n in counts]
    return Curve(name=f"{case.scene} {case.passes}", along="threads", points=points)


def _with_threads(threads: int, run: Callable[[], object]) -> Callable[[], None]:
    def run_with_threads() -> None:
        set_threads(threads)
        run()
        set_threads(usable_cores())

    return run_with_threads
