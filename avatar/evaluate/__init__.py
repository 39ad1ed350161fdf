"""Metrics, the protocol that applies them to a split of a capture, and the page that shows the result."""

from .lpips import Lpips, load_lpips
from .protocol import METRICS, EvaluateConfig, ImageResult, Report, evaluate
from .report import write_report

__all__ = ["METRICS", "EvaluateConfig", "ImageResult", "Lpips", "Report", "evaluate", "load_lpips", "write_report"]
