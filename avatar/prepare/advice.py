"""What is weak in a prepared capture, and what to do about it."""

from collections.abc import Iterator, Sequence

from numpy import nan_to_num

from .observations import CameraFindings, Findings
from .pictures import MOVING
from .timeline import TRUSTED

Advice = tuple[float, str]
"""How bad it is, one and more being bad, and a sentence."""

RARELY_SEEN = 0.2
WORST_RESIDUAL = 0.02  # of the picture's height
WORST_DISAGREEMENT = 0.3
WORST_OVERLAP = 0.85
WORST_SPREAD = 0.08


def advise(findings: Findings, heights_px: Sequence[int], noticed: Sequence[str] = ()) -> tuple[str, ...]:
    """Sentences, worst first, on what was found out; ``heights_px`` are of the cameras' pictures.

    ``noticed`` are sentences on what was noticed before.
    """
    found = [(1.0, text) for text in noticed]
    for i, camera in enumerate(findings.cameras):
        found += _of_camera(camera, heights_px[i], len(findings.points_world), len(findings.cameras) == 1)
        found += _of_masks(
            camera.name, *(float(each[:, i].nanmedian()) for each in (findings.disagreements, findings.overlaps))
        )
    if findings.is_refined:
        moved = max(findings.cameras, key=lambda camera: nan_to_num(camera.before_px - camera.after_px))
        text = f"The landmarks moved the cameras, {moved.name} from {moved.before_px:.1f} to {moved.after_px:.1f} px"
        found.append((1.2, f"{text}: the calibration is off; calibrate again for sharper pictures."))
    worst = max(findings.bones, key=lambda bone: bone.spread_m / bone.metres, default=None)
    if worst and worst.spread_m > WORST_SPREAD * worst.metres:
        share = worst.spread_m / worst.metres
        text = (
            f"The length of {worst.name} varies by {share:.0%}: cameras, clocks or landmarks are wrong; look at them."
        )
        found.append((share / WORST_SPREAD, text))
    return tuple(text for _, text in sorted(found, key=lambda advice: -advice[0]))


def _of_camera(camera: CameraFindings, height_px: int, steps: int, is_alone: bool) -> Iterator[Advice]:
    name, limit_px = camera.name, WORST_RESIDUAL * height_px
    if camera.sync_confidence < TRUSTED:
        yield 1.5, f"{name}: its clock could not be told from motion; make sure that its video starts with the others."
    if camera.after_px > limit_px:
        text = f"its landmarks are {camera.after_px:.1f} px from where the other cameras have them; calibrate it again."
        yield camera.after_px / limit_px, f"{name}: {text}"
    if (share := (camera.unseen + camera.missing) / steps) > RARELY_SEEN:
        yield share / RARELY_SEEN, f"{name}: has the person in only {1 - share:.0%} of the time; aim it better."
    if camera.unrest > MOVING and is_alone:
        yield 1.0, f"{name}: its scene changes, as a moving camera's does; masks are by the landmarks' network alone."
    elif camera.unrest > MOVING:
        text = "its scene changes; masks were made without it. Fix the camera and the light."
        yield camera.unrest / MOVING, f"{name}: {text}"
    for note in camera.notes:
        yield 1.0, note if note.startswith(name) else f"{name}: {note}"


def _of_masks(name: str, disagreement: float, overlap: float) -> Iterator[Advice]:
    if disagreement > WORST_DISAGREEMENT:
        text = f"the two opinions on its masks differ by {disagreement:.0%}; look at them, film a plainer background."
        yield disagreement / WORST_DISAGREEMENT, f"{name}: {text}"
    if overlap < WORST_OVERLAP:
        text = f"the fitted body covers its masks by {overlap:.0%} only; look at masks and body."
        yield (1 - overlap) / (1 - WORST_OVERLAP), f"{name}: {text}"
