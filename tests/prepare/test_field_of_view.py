"""Field of view: given, recorded, or estimated from perspective on a person whose lens is known."""

import math
from pathlib import Path

import av
import numpy as np
import pytest
import torch

from avatar.prepare.field_of_view import FieldOfView, estimated_field_of_view, recorded_field_of_view

from .stick_figure import camera, like_a_network, seen, swinging


def test_it_is_across_the_longer_side() -> None:
    field = FieldOfView(degrees=90.0, spread=0.0, source="given")
    for height, width in (400, 300), (300, 400):
        intrinsics = field.intrinsics_px(height, width)
        assert float(intrinsics[0, 0]) == float(intrinsics[1, 1]) == pytest.approx(200)
        assert intrinsics[:2, 2].tolist() == [width / 2, height / 2]


def test_what_no_lens_has_is_refused() -> None:
    with pytest.raises(ValueError, match=r"expected 5 to 150 degrees across the longer side .* got 190"):
        FieldOfView(degrees=190.0, spread=0.0, source="given")


@pytest.mark.parametrize("degrees", [42.0, 58.0, 80.0])
@pytest.mark.parametrize("distance", [2.0, 4.0])
def test_perspective_tells_within_what_is_stated(degrees: float, distance: float) -> None:
    """Two deviations hold it, and it lies on the right side of what is usual."""
    view, points = camera(degrees, distance=distance), swinging(20)
    pixels, guesses = seen(points, view), like_a_network(points, view)
    found = estimated_field_of_view(pixels, torch.ones(20, 33), guesses, [], (view.height, view.width))
    known = math.tan(math.radians(found.degrees) / 2) / math.tan(math.radians(degrees) / 2)
    assert abs(math.log(known)) < 2 * found.spread
    assert found.spread < 0.3, "no wider than what is usual"
    low, high = found.range_degrees
    assert low < found.degrees < high


def test_near_people_tell_more() -> None:
    points = swinging(20)
    spreads = []
    for distance in (1.5, 3.0, 30.0):
        view = camera(58.0, distance=distance)
        guesses = like_a_network(points, view)
        spreads.append(
            estimated_field_of_view(seen(points, view, 0.0), torch.ones(20, 33), guesses, [], (1280, 720)).spread
        )
    assert spreads[0] < spreads[1] < spreads[2]
    assert spreads[2] == pytest.approx(0.3, rel=0.1), "far away there is no perspective: what is usual stays"


def test_a_camera_that_turns_tells_its_lens() -> None:
    """Corners of a far scene move by the lens, so half of what guesses say does not matter."""
    view, points, focal = camera(45.0), swinging(20), 0.5 / math.tan(math.radians(45) / 2)
    corners = np.random.default_rng(0).uniform(-0.28, 0.28, (60, 2))
    angle = math.radians(2)
    x, y, z = corners[:, 0], corners[:, 1], focal
    x, z = x * math.cos(angle) - z * math.sin(angle), x * math.sin(angle) + z * math.cos(angle)
    noise = np.random.default_rng(1).normal(0, 1e-4, (60, 2))
    scene = [(corners, np.column_stack([x / z, y / z]) * focal + noise)] * 40
    pixels, guesses = seen(points, view), like_a_network(points, view)
    found = estimated_field_of_view(pixels, torch.ones(20, 33), guesses, scene, (view.height, view.width))
    assert found.degrees == pytest.approx(45, abs=2)
    assert found.spread < 0.1
    assert found.source.startswith("its turns, ")


def test_nobody_says_nothing() -> None:
    nobody = torch.full((3, 33, 2), torch.nan)
    with pytest.raises(ValueError, match="nobody was found in any frame; give --fov"):
        estimated_field_of_view(nobody, torch.zeros(3, 33), torch.full((3, 33, 3), torch.nan), [], (100, 100))


def video(path: Path, tags: dict[str, str]) -> Path:
    with av.open(str(path), "w", options={"movflags": "use_metadata_tags"}) as container:
        container.metadata.update(tags)
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        frame = av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8))
        container.mux([*stream.encode(frame), *stream.encode()])
    return path


def test_a_phone_records_its_lens(tmp_path: Path) -> None:
    name = "com.apple.quicktime.camera.focal_length.35mm_equivalent"
    found = recorded_field_of_view(video(tmp_path / "a.mov", {name: "26"}))
    assert found is not None
    assert found.degrees == pytest.approx(63, abs=1)  # 67 degrees of a still, less what stabilisation cuts off
    assert found.source == "the video's record (26 mm)"


@pytest.mark.parametrize("tag", ["", "wide", "0", "-3", "1e-9", "nan"])
def test_records_that_say_nothing(tmp_path: Path, tag: str) -> None:
    assert recorded_field_of_view(video(tmp_path / "a.mov", {"focal_length_35mm": tag, "title": "26"})) is None


def test_what_is_no_video_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"nothing")
    with pytest.raises(ValueError, match=r"a\.mp4: cannot be read as a video"):
        recorded_field_of_view(tmp_path / "a.mp4")
