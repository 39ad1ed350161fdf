"""Metrics, the protocol that applies them to a split of a capture, and the page that shows the result."""

from .gallery import Example, collect_examples
from .protocol import METRICS, EvaluateConfig, ImageResult, Report, evaluate
from .report import write_report

__all__ = [
    "METRICS",
    "EvaluateConfig",
    "Example",
    "ImageResult",
    "Report",
    "collect_examples",
    "evaluate",
    "write_report",
]
