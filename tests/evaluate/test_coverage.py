"""What the cameras have seen of the body, and where its parts are."""

import numpy as np
import pytest
import torch

from avatar.body import RIGS, load_body
from avatar.evaluate import Coverage, cover
from avatar.evaluate.body_causes import coverage_causes
from avatar.evaluate.body_parts import PARTS, part_of_vertices
from avatar.evaluate.cause import CauseConfig
from avatar.evaluate.coverage_picture import UNSEEN_BGR, coverage_picture
from avatar.model import HybridAvatar
from avatar.structs import Capture, Split


def coverage_of(person: HybridAvatar, capture: Capture, num_cameras: int) -> Coverage:
    split = Split(name="train", frame_ids=(0, 1), camera_ids=tuple(range(num_cameras)))
    return cover(person, capture, split)


def test_cameras_all_around_see_nearly_everything(person: HybridAvatar, unpictured: Capture) -> None:
    coverage = coverage_of(person, unpictured, 4)
    assert coverage.unseen < 0.08
    assert int(coverage.num_cameras.max()) <= 4
    assert float(coverage.best_cosine.max()) > 0.98
    assert not coverage_causes(coverage, CauseConfig())


def test_one_camera_in_front_sees_half(person: HybridAvatar, unpictured: Capture) -> None:
    coverage = coverage_of(person, unpictured, 1)
    assert 0.4 < coverage.unseen < 0.65
    sides = {(side.part, side.side): side.unseen for side in coverage.sides()}
    assert sides["torso", "back"] > 0.95
    assert sides["torso", "front"] < 0.25
    (cause,) = coverage_causes(coverage, CauseConfig())
    assert cause.sentence.startswith("The back of the torso, ")
    assert "the back of the left thigh" in cause.what
    assert "the front of the left thigh" not in cause.what
    front, back = (half[..., :3][half[..., 3] > 0] for half in np.split(coverage_picture(coverage), 2, axis=1))
    is_red = [
        ((pixels[:, 2] > 1.8 * pixels[:, 1]) & (pixels[:, 2] > 1.8 * pixels[:, 0])).mean() for pixels in (front, back)
    ]
    assert UNSEEN_BGR[2] > 1.8 * UNSEEN_BGR[0]
    assert is_red[0] < 0.25
    assert is_red[1] > 0.95


@pytest.mark.parametrize("rig", RIGS)
def test_left_is_the_persons_left(rig: str) -> None:
    body = load_body(rig)
    rest = body.shaped(body.default_shape()).rest.vertices
    parts = part_of_vertices(body, rest)
    means = {name: rest[parts == index].mean(0) for index, name in enumerate(PARTS)}
    for name in PARTS:
        if name.startswith("left"):
            assert float(means[name][0]) > 0.05
            assert float(means[name.replace("left", "right")][0]) == pytest.approx(-float(means[name][0]), abs=0.01)
    heights = [float(means[name][2]) for name in ("head", "torso", "left thigh", "left shin", "left foot")]
    assert heights == sorted(heights, reverse=True)
    assert torch.bincount(parts, minlength=len(PARTS)).min() > 100
