from types import MappingProxyType

import pytest
import torch

from avatar.structs import Capture, Frame, Pose, Rendering, Shape, Split


def no_frame(frame_id: int, camera_id: int, cropped: bool) -> Frame:
    raise FileNotFoundError(f"{frame_id} {camera_id} {cropped}")


def capture() -> Capture:
    quats = torch.tensor([1.0, 0.0, 0.0, 0.0]).expand(4, 2, 4)
    splits = {"train": Split(name="train", frame_ids=(0, 2), camera_ids=(5, 6, 7))}
    return Capture(
        name="walk",
        cameras=(),
        poses=Pose(local_quats=quats, root_position_world=torch.arange(12.0).reshape(4, 3)),
        shape=Shape(names=("height",), values=torch.tensor([0.5])),
        splits=MappingProxyType(splits),
        frame_rate_hz=30.0,
        load_frame=no_frame,
    )


def test_a_split_pairs_every_frame_with_every_camera():
    split = capture().split("train")
    assert split.pairs() == [(0, 5), (0, 6), (0, 7), (2, 5), (2, 6), (2, 7)]
    assert len(split) == 6


def test_a_split_that_is_not_there_names_those_that_are():
    with pytest.raises(ValueError, match="capture 'walk': no split 'test'; it has train"):
        capture().split("test")


def test_a_pose_knows_its_frame():
    assert capture().num_frames == 4
    pose = capture().pose(3)
    assert pose.frame_id == 3
    assert pose.root_position_world.tolist() == [9, 10, 11]


def test_expected_depth_divides_by_coverage_and_is_zero_where_nothing_is():
    alpha = torch.tensor([[0.5, 0.0]])
    rendering = Rendering(color=torch.zeros(1, 2, 3), alpha=alpha, depth=torch.tensor([[1.5, 0.0]]))
    assert rendering.expected_depth().tolist() == [[3.0, 0.0]]
    with pytest.raises(ValueError, match="rendered without depth"):
        Rendering(color=torch.zeros(1, 2, 3), alpha=alpha).expected_depth()
