"""What is said of a capture, worst first; and findings in a file."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from avatar.prepare import CameraFindings, Findings, MotionSignal, read_findings, write_findings
from avatar.prepare.advice import advise
from avatar.prepare.triangulate import BoneLength

GOOD = CameraFindings(
    name="c0",
    video="c0.mp4",
    offset_s=0.0,
    sync_confidence=0.5,
    missing=0,
    unseen=0,
    before_px=2.0,
    after_px=2.0,
    unrest=0.01,
)


def findings(*cameras: CameraFindings, **others: object) -> Findings:
    """Of four time steps, nothing wrong but what is told."""
    shape = (4, len(cameras))
    return replace(
        Findings(
            name="take",
            frame_rate_hz=25.0,
            cameras=cameras,
            signals=(MotionSignal(times_s=np.arange(3) / 3, values=np.array([[np.nan, 1 / 3]] * 3)),),
            points_world=torch.full((4, 33, 3), torch.nan, dtype=torch.float64),
            residuals_px=torch.ones(shape, dtype=torch.float64),
            fit_residuals_px=torch.ones(shape, dtype=torch.float64),
            disagreements=torch.full(shape, 0.1, dtype=torch.float64),
            overlaps=torch.full(shape, 0.95, dtype=torch.float64),
            bones=(BoneLength(name="hip to knee", metres=0.4, spread_m=0.01),),
            is_refined=False,
            warnings=("one",),
        ),
        **others,
    )


def test_a_good_capture_needs_no_advice() -> None:
    assert advise(findings(GOOD, GOOD), [960, 960]) == ()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"sync_confidence": 0.05}, "c1: its clock"),
        ({"after_px": 40.0}, "c1: its landmarks are 40.0 px"),
        ({"unseen": 2}, "c1: has the person in only 50%"),
        ({"unrest": 0.3}, "c1: its scene changes"),
        ({"notes": ("c1: odd",)}, "c1: odd"),
        ({"notes": ("odd",)}, "c1: odd"),
    ],
)
def test_each_weakness_is_told(change: dict[str, object], says: str) -> None:
    (told,) = advise(findings(GOOD, replace(GOOD, name="c1", **change)), [960, 960])
    assert told.startswith(says)


def test_a_camera_alone_may_move() -> None:
    (told,) = advise(findings(replace(GOOD, unrest=0.3)), [960])
    assert "masks are by the landmarks' network alone" in told
    assert "Fix the camera" not in told


def test_the_worst_comes_first() -> None:
    bad = replace(GOOD, name="c1", after_px=200.0, unseen=1)
    told = advise(findings(GOOD, bad, overlaps=torch.full((4, 2), 0.7)), [960, 960], ["noticed before."])
    assert told[0].startswith("c1: its landmarks")
    assert {told[1][:17], told[2][:17]} == {"c0: the fitted bo", "c1: the fitted bo"}
    assert told[-1] == "noticed before."


def test_bones_that_stretch_and_cameras_that_moved() -> None:
    told = advise(findings(GOOD, bones=(BoneLength(name="hip to knee", metres=0.4, spread_m=0.1),)), [960])
    assert told[0].startswith("The length of hip to knee varies by 25%")
    moved = replace(GOOD, before_px=9.0)
    assert "c0 from 9.0 to 2.0 px" in advise(findings(moved, is_refined=True), [960])[0]


def test_findings_come_back(tmp_path: Path) -> None:
    """Numbers to six digits, NaN as NaN."""
    alone = replace(GOOD, after_px=float("nan"), notes=("a note",))
    written = findings(GOOD, alone)
    write_findings(tmp_path / "f.json", written)
    read = read_findings(tmp_path / "f.json")
    assert read.cameras[0] == written.cameras[0]
    assert np.isnan(read.cameras[1].after_px)
    assert read.cameras[1].notes == ("a note",)
    assert read.bones == written.bones
    assert read.warnings == ("one",)
    assert torch.equal(read.overlaps, written.overlaps)
    assert read.points_world.isnan().all()
    assert read.points_world.shape == (4, 33, 3)
    assert np.allclose(read.signals[0].values, written.signals[0].values, rtol=1e-5, equal_nan=True)


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"name": 1}', '{"name": "a", "cameras": 3}', "nonsense"])
def test_other_files_are_no_findings(tmp_path: Path, text: str) -> None:
    (tmp_path / "f.json").write_text(text)
    with pytest.raises(ValueError, match=r"f\.json: holds no findings"):
        read_findings(tmp_path / "f.json")
