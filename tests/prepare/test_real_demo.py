"""The real demo, where `avatar assets fetch pose2sim-demo` and `fetch pose` have been run: its faults are told."""

from importlib.util import find_spec
from pathlib import Path

import pytest

from avatar.assets import DEMO_FILES, demo_path, pose_path
from avatar.prepare import PrepareConfig, prepare

IS_HERE = all((demo_path() / name).is_file() for name in DEMO_FILES)
IS_READY = IS_HERE and pose_path("heavy").is_file() and find_spec("ai_edge_litert") is not None


@pytest.mark.slow
@pytest.mark.skipif(not IS_READY, reason="needs avatar assets fetch pose2sim-demo, fetch pose, and the extra pose")
def test_the_real_demo_is_prepared_and_its_faults_are_told(tmp_path: Path) -> None:
    config = PrepareConfig(
        videos=demo_path() / "videos",
        calibration=demo_path() / "Calib.qca.txt",
        frames=(0, 40),
        rate_hz=10.0,
        max_height=480,
    )
    findings = prepare(config, tmp_path / "demo")
    notes = {camera.name: " ".join(camera.notes) for camera in findings.cameras}
    assert all("scaled by 0.99265" in notes[name] for name in ("cam01", "cam02"))
    assert not any("scaled" in notes[name] for name in ("cam03", "cam04"))
    assert findings.is_refined, "its cameras are off by half a degree"
    assert max(camera.before_px for camera in findings.cameras) > 1.3 * max(
        camera.after_px for camera in findings.cameras
    )
    assert not any("straight edges" in text for text in findings.warnings), "its distortion is right"
    assert float(findings.overlaps.nanmean(dim=0).min()) > 0.85
