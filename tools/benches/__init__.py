"""What ``avatar bench`` measures, one module a name."""

from .animate import bench_animate
from .machine import describe_machine
from .rasterize import bench_rasterize
from .step import bench_step

__all__ = ["bench_animate", "bench_rasterize", "bench_step", "describe_machine"]
