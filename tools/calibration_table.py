"""What was calibrated, as tables."""

from collections.abc import Sequence

import numpy as np
from rich.table import Table

from avatar.prepare.boards import LensFit, RigFit

from .console import console


def print_lenses(lenses: Sequence[LensFit]) -> None:
    """Each camera's lens with its standard deviations."""
    table = Table("camera", "views", "rms px", "in new views", "focal px", "principal point px", "k1", "k2")
    for lens in lenses:
        camera, deviations = lens.camera, lens.deviations
        fx, fy = camera.intrinsics_px[[0, 1], [0, 1]]
        focal = f"{fx:.1f} x {fy:.1f}" if deviations[1] else f"{fx:.1f}"
        cx, cy = camera.intrinsics_px[:2, 2]
        dropped = f" (-{lens.num_dropped})" if lens.num_dropped else ""
        table.add_row(
            camera.name,
            f"{len(lens.views)}{dropped}",
            f"{lens.rms_px:.2f}",
            f"{lens.held_out_px:.2f}",
            f"{focal} ± {fx * deviations[0]:.1f}",
            f"{cx:.1f}, {cy:.1f} ± {deviations[2]:.1f}, {deviations[3]:.1f}",
            f"{camera.distortion[0]:+.4f} ± {deviations[4]:.4f}",
            f"{camera.distortion[1]:+.4f} ± {deviations[5]:.4f}",
        )
    console.print(table)


def print_rig(rig: RigFit) -> None:
    """How each camera agrees with the others, and where it stands."""
    table = Table("camera", "moments", "rms px", "turn ±", "place ±", "stands at (x, y, z) m")
    for index, camera in enumerate(rig.cameras):
        turn, shift = (np.linalg.norm(rig.pose_deviations[index, part]) for part in (slice(0, 3), slice(3, 6)))
        table.add_row(
            camera.name,
            str(len(rig.views[index])),
            f"{rig.rms_px[index]:.2f}",
            f"{np.degrees(turn):.3f}°" if index else "-",
            f"{1000 * shift:.1f} mm" if index else "-",
            ", ".join(f"{value:+.3f}" for value in camera.centre_world),
        )
    console.print(table)
