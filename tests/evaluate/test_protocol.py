"""The protocol on a capture whose figures are known."""

import json
import logging
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from avatar.evaluate import METRICS, EvaluateConfig, ImageResult, Report, evaluate
from avatar.evaluate.protocol import evenly_spread
from avatar.structs import Capture, Frame, Rendering

Renderer = Callable[[Frame], Rendering]
pytestmark = pytest.mark.usefixtures("empty_cache")


def test_figures_are_means_over_images(capture: Capture, render_frame: Renderer) -> None:
    seen: list[ImageResult] = []
    report = evaluate(capture, "test", render_frame, on_image=seen.append)
    assert list(report.images) == seen
    assert [(image.frame_id, image.camera_id) for image in seen] == [(0, 0), (0, 1), (1, 0), (1, 1), (2, 0), (2, 1)]
    # 0.4 is 102/255; brighter by 0.2, 0.1 and 0.04 it rounds to 153, 128 (from 127.5) and 112 in 8 bits.
    levels = torch.tensor([51, 26, 10]) / 255
    expected = float((-20 * levels.log10()).mean())
    assert report.mean("psnr_mask") == pytest.approx(expected, abs=0.02)
    assert report.mean("psnr_box") == pytest.approx(report.mean("psnr_mask"))
    whole_over_mask = 10 * math.log10(176 * 176 / (100 * 50))
    assert report.mean("psnr") == pytest.approx(expected + whole_over_mask, abs=0.02)


def test_json_has_the_promised_keys(capture: Capture, render_frame: Renderer, tmp_path: Path) -> None:
    report = evaluate(capture, "test", render_frame)
    report.write(tmp_path / "new" / "a.json")
    stored = json.loads((tmp_path / "new" / "a.json").read_text())
    assert {"split", "num_images", "seconds_per_image", *METRICS} <= stored.keys()
    assert (stored["split"], stored["num_images"], len(stored["images"])) == ("test", 6, 6)
    assert stored["lpips_alex"] is None
    assert stored["lpips_vgg"] is None
    assert stored["psnr"] == report.mean("psnr")
    assert Report.read(tmp_path / "new" / "a.json") == report


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"subject": 1, "split": "a", "images": [3]}'])
def test_a_file_that_is_no_report(tmp_path: Path, content: str) -> None:
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(ValueError, match=r"a\.json: not the report"):
        Report.read(tmp_path / "a.json")


def test_missing_lpips_is_said_once(capture: Capture, render_frame: Renderer, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        evaluate(capture, "test", render_frame)
    assert [record.getMessage() for record in caplog.records] == [
        "LPIPS: not computed (run 'avatar assets fetch lpips')"
    ]


def test_small_images_have_no_ms_ssim(capture: Capture, render_frame: Renderer) -> None:
    def cut(frame_id: int, camera_id: int, cropped: bool) -> Frame:
        frame = capture.load_frame(frame_id, camera_id, cropped)
        return replace(frame, image=frame.image[:100], is_foreground=frame.is_foreground[:100])

    report = evaluate(replace(capture, load_frame=cut), "test", render_frame)
    assert report.mean("ms_ssim") is None
    assert report.mean("ssim") is not None


def test_no_gradients_are_kept(capture: Capture, render_frame: Renderer) -> None:
    gain = torch.ones((), requires_grad=True)

    def render(frame: Frame) -> Rendering:
        assert not torch.is_grad_enabled()
        rendering = render_frame(frame)
        return replace(rendering, color=gain * rendering.color)

    assert evaluate(capture, "test", render).images


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda color: color[1:], r"frame 0, camera 'left': expected shape \(176, 176, 3\), got \(175, 176, 3\)"),
        (lambda color: color / 0, r"frame 0, camera 'left': expected finite colours"),
    ],
)
def test_broken_renderings_are_refused(
    capture: Capture, render_frame: Renderer, spoil: Callable[[torch.Tensor], torch.Tensor], message: str
) -> None:
    def render(frame: Frame) -> Rendering:
        color = spoil(render_frame(frame).color)
        return Rendering(color=color, alpha=color[..., 0])

    with pytest.raises(ValueError, match=message):
        evaluate(capture, "test", render)


def test_splits_without_images_are_refused(capture: Capture, render_frame: Renderer) -> None:
    with pytest.raises(ValueError, match="no split 'unknown'"):
        evaluate(capture, "unknown", render_frame)
    with pytest.raises(ValueError, match="has no images"):
        evaluate(capture, "none", render_frame)


def test_config_is_checked() -> None:
    with pytest.raises(ValueError, match="lpips_vgg_max_images: expected 0 or more, got -1"):
        EvaluateConfig(lpips_vgg_max_images=-1)


def test_evenly_spread() -> None:
    assert evenly_spread(10, 4) == [0, 3, 6, 9]
    assert evenly_spread(3, 10) == [0, 1, 2]
    assert evenly_spread(5, 1) == [0]
    assert evenly_spread(5, 0) == evenly_spread(0, 5) == []
