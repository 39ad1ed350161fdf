"""The page that shows where a prepared capture is weak."""

from .page import write_report

__all__ = ["write_report"]
