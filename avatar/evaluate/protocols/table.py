"""Our figures under the published ones, of one protocol and one part of it."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from .judge import ProtocolReport
from .protocol import Protocol
from .published import PublishedRow


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line of the table.

    Attributes:
        method: whose figures these are.
        subjects: over which captures they are means.
        figures: one of each of the protocol's measures, None where there is none.
        unconfirmed: names of figures that no primary source confirmed.
        source: where they were read; empty for ours.
    """

    method: str
    subjects: tuple[str, ...]
    figures: Mapping[str, float | None]
    unconfirmed: frozenset[str] = frozenset()
    source: str = ""


def compared(
    protocol: Protocol, published: Sequence[PublishedRow], reports: Sequence[ProtocolReport], method: str = "avatar"
) -> list[Line]:
    """The published lines, over all subjects and over those of ``reports`` alone where that was published; then ours.

    Ours, called ``method``, are one line for each subject and, of several, their mean, which is a partial one where
    ``missing`` names any. ValueError for rows or reports of another protocol or of several
    parts, and for a subject twice: such figures do not compare.
    """
    if not reports:
        raise ValueError(f"{protocol.name}: expected figures to compare, got none")
    part = reports[0].part
    for row in (*reports, *published):
        if row.protocol != protocol.name or row.part != part:
            raise ValueError(
                f"figures of {row.protocol}, {row.part}, do not compare with those of {protocol.name}, {part}"
            )
    subjects = tuple(sorted(report.subject for report in reports))
    if len(set(subjects)) < len(subjects):
        raise ValueError(f"{protocol.name}: expected each subject once, got {', '.join(subjects)}")
    lines = [line for row in published for line in _published_lines(protocol, row, subjects)]
    for report in sorted(reports, key=lambda report: report.subject):
        figures = {name: report.mean(name) for name in _names(protocol)}
        lines.append(Line(method=method, subjects=(report.subject,), figures=figures))
    if len(reports) > 1:
        each = [line.figures for line in lines[-len(reports) :]]
        means = {name: _mean([figures[name] for figures in each]) for name in _names(protocol)}
        lines.append(Line(method=method, subjects=subjects, figures=means))
    return lines


def missing(protocol: Protocol, subjects: Collection[str]) -> list[str]:
    """The protocol's subjects that are not among ``subjects``; none for a protocol of any capture."""
    return [subject for subject in protocol.subjects if subject not in subjects]


def rows_of(published: Sequence[PublishedRow], protocol: str, part: str) -> list[PublishedRow]:
    """Those of one part of a protocol."""
    return [row for row in published if (row.protocol, row.part) == (protocol, part)]


def _published_lines(protocol: Protocol, row: PublishedRow, subjects: tuple[str, ...]) -> list[Line]:
    """What was published over all subjects, and over ``subjects`` alone."""
    found = [(tuple(protocol.subjects), {name: row.figures.get(name) for name in _names(protocol)})]
    if set(subjects) <= row.subjects.keys() and set(subjects) != set(protocol.subjects):
        each = [row.subjects[subject] for subject in subjects]
        found.append((subjects, {name: _mean([figures.get(name) for figures in each]) for name in _names(protocol)}))
    return [
        Line(method=row.method, subjects=over, figures=figures, unconfirmed=row.unconfirmed, source=row.source)
        for over, figures in found
        if any(figure is not None for figure in figures.values())
    ]


def _names(protocol: Protocol) -> list[str]:
    return [measure.name for measure in protocol.measures]


def _mean(values: Sequence[float | None]) -> float | None:
    """Of all; None where one is missing."""
    known = [value for value in values if value is not None]
    return fmean(known) if len(known) == len(values) else None
