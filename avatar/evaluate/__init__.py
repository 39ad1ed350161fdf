"""Metrics, the protocol that applies them to a split of a capture, and the page that shows the result."""

from .causes import Findings
from .coverage import Coverage, cover
from .details import with_details
from .diagnosis import Diagnosis, DiagnosisConfig, diagnose, sampled
from .gallery import Example, collect_examples
from .picture_check import PictureCheck
from .protocol import METRICS, EvaluateConfig, ImageResult, Report, evaluate
from .report import write_report
from .surface_metrics import SURFACE_METRICS, SurfaceConfig, compare_surfaces, seen_from_outside
from .surface_page import with_picture
from .surface_report import SurfaceReport, SurfaceResult, evaluate_surface

__all__ = [
    "METRICS",
    "SURFACE_METRICS",
    "Coverage",
    "Diagnosis",
    "DiagnosisConfig",
    "EvaluateConfig",
    "Example",
    "Findings",
    "ImageResult",
    "PictureCheck",
    "Report",
    "SurfaceConfig",
    "SurfaceReport",
    "SurfaceResult",
    "collect_examples",
    "compare_surfaces",
    "cover",
    "diagnose",
    "evaluate",
    "evaluate_surface",
    "sampled",
    "seen_from_outside",
    "with_details",
    "with_picture",
    "write_report",
]
