"""One person and its poses, fitted to landmarks and outlines of several cameras."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..observations import FittedBody, Observations
from .agreement import landmark_residuals, mask_overlaps
from .estimate import Estimate, Template
from .outlines import Outlines, read_outlines
from .solve import refine
from .start import is_enough, start
from .terms import Problem, Sight, match

_COARSE_M, _FINE_M = 0.3, 0.1  # errors of landmarks that count for a start, and later

Progress = Callable[[float, str], None]


@dataclass(frozen=True, kw_only=True)
class BodyFitConfig:
    """How closely to look.

    Attributes:
        skin_points: points of the skin that are compared with masks.
        contour_points: points of each mask's contour.
        person_frames: the person is found in so many frames, evenly spread; then poses are refined in all.
        window: so many frames at a time.
        overlap: so many frames of a window are fitted again in the next.
        landmark_steps: of the optimiser, with landmarks alone.
        rounds: how often contours are matched anew.
        steps: of the optimiser in each round.
    """

    skin_points: int = 2500
    contour_points: int = 200
    person_frames: int = 40
    window: int = 50
    overlap: int = 6
    landmark_steps: int = 60
    rounds: int = 4
    steps: int = 25

    def __post_init__(self) -> None:
        for name in ("skin_points", "contour_points", "person_frames", "landmark_steps", "rounds", "steps"):
            if getattr(self, name) < 1:
                raise ValueError(f"BodyFitConfig.{name}: expected one or more, got {getattr(self, name)}")
        if not 0 <= 2 * self.overlap < self.window:
            raise ValueError(f"BodyFitConfig.overlap: expected 0 to half of window, got {self.overlap}")


def fit_body(
    observations: Observations, config: BodyFitConfig | None = None, on_progress: Progress | None = None
) -> FittedBody:
    """The person whose landmarks and outlines are nearest to those seen: one shape, a pose for every frame.

    Frames in which too little is seen take their pose from those around them. ``on_progress`` hears the share that is
    done and what is being done. Raises ValueError when there is no frame in which enough is seen.
    """
    config, told = config or BodyFitConfig(), on_progress or _silent
    frames = is_enough(observations.points_world).nonzero()[:, 0]
    if not len(frames):
        raise ValueError("observations: expected a frame with most of a person's landmarks in space, found none")
    template = Template.load(config.skin_points)
    fitting = _Fitting(template, observations, frames, config)
    told(0.0, "first poses")
    found = fitting.started()
    told(0.1, "person")
    found = fitting.with_person(found)
    found = fitting.with_poses(found, lambda share: told(0.4 + 0.5 * share, "poses"))
    every = found.between(frames.double(), torch.arange(observations.num_frames).double())
    told(0.9, "comparison with masks")
    shape, poses = template.shape(every.shape), template.poses(every)
    return FittedBody(
        rig="anny",
        shape=shape,
        poses=poses,
        residuals_px=landmark_residuals(template, every, observations),
        overlaps=mask_overlaps(template.body.shaped(shape), poses, observations),
    )


class _Fitting:
    """The stages of a fit to the frames in which enough is seen."""

    def __init__(self, template: Template, observations: Observations, frames: Tensor, config: BodyFitConfig) -> None:
        self.template, self.config, self.frames = template, config, frames
        self.points_world, self.load_mask = observations.points_world[frames], observations.load_mask
        self.height_m = observations.height_m
        self.sight = Sight.of(observations).frames(frames)

    def started(self) -> Estimate:
        """First poses, by landmarks alone."""
        found = start(self.template, self.points_world)
        for rows in self._windows():
            for limit_m in (_COARSE_M, _FINE_M):
                problem = self._problem(found, rows, limit_m=limit_m)
                part = refine(
                    found.frames(rows), problem.cost, problem.moved, self.config.landmark_steps, with_person=False
                )
                found = found.with_frames(rows, part)
        return found

    def with_person(self, found: Estimate) -> Estimate:
        """The person, by some of the frames."""
        count = min(self.config.person_frames, len(found))
        rows = torch.linspace(0, len(found) - 1, count).round().long()
        problem = self._problem(found, rows)
        part = refine(found.frames(rows), problem.cost, problem.moved, self.config.landmark_steps, with_person=True)
        part = self._by_outlines(part, problem, self._outlines(rows), self.config.rounds, with_person=True)
        return replace(found.with_frames(rows, part), shape=part.shape, offsets=part.offsets)

    def with_poses(self, found: Estimate, on_progress: Callable[[float], None]) -> Estimate:
        """All poses of the person."""
        for rows in self._windows():
            on_progress(int(rows[0]) / len(found))
            problem, rounds = self._problem(found, rows), max(1, self.config.rounds // 2)
            part = self._by_outlines(found.frames(rows), problem, self._outlines(rows), rounds, with_person=False)
            found = found.with_frames(rows, part)
        return found

    def _by_outlines(
        self, part: Estimate, problem: Problem, outlines: Outlines, rounds: int, with_person: bool
    ) -> Estimate:
        for _ in range(rounds):
            matched = replace(problem, contours=match(self.template, part, problem.sight, outlines))
            part = refine(part, matched.cost, matched.moved, self.config.steps, with_person)
        return part

    def _problem(self, found: Estimate, rows: Tensor, limit_m: float = _FINE_M) -> Problem:
        before = torch.arange(max(0, int(rows[0]) - 2), int(rows[0]))
        return Problem(
            template=self.template,
            sight=self.sight.frames(rows),
            limit_m=limit_m,
            height_m=self.height_m,
            before=found.frames(before),
            times_s=self.sight.times_s[torch.cat([before, rows])],
        )

    def _outlines(self, rows: Tensor) -> Outlines:
        frames, cameras = self.frames[rows].tolist(), len(self.sight.projections)
        return read_outlines(self.load_mask, frames, cameras, self.config.contour_points)

    def _windows(self) -> Iterator[Tensor]:
        """Rows of frames that are fitted together; the last ones of each come again in the next."""
        count, new = len(self.frames), self.config.window - self.config.overlap
        for first in range(0, max(1, count - self.config.overlap), new):
            yield torch.arange(first, min(first + self.config.window, count))


def _silent(share: float, stage: str) -> None:
    del share, stage
