"""A part of a capture is a capture, numbered anew."""

from dataclasses import replace

import torch

from avatar.capture import selected
from avatar.structs import Capture, Mesh


def test_time_steps_and_cameras_are_numbered_anew(drawn: Capture) -> None:
    part = selected(drawn, [1, 3], [2, 1])
    assert [camera.name for camera in part.cameras] == ["Camera_B3", "Camera_B2"]
    assert torch.equal(part.poses.local_quats, drawn.poses.local_quats[[1, 3]])
    frame, whole = part.load_frame(1, 0, False), drawn.load_frame(3, 2, False)
    assert (frame.frame_id, frame.camera_id, frame.pose.frame_id) == (1, 0, 1)
    assert torch.equal(frame.image, whole.image)
    assert torch.equal(frame.pose.local_quats, whole.pose.local_quats)


def test_splits_keep_what_is_left(drawn: Capture) -> None:
    """Of frames 0, 1, 2 of cameras 0, 2 to train and frames 0, 3 of camera 1 to test."""
    part = selected(drawn, [1, 3], [2, 1])
    assert {name: (split.frame_ids, split.camera_ids) for name, split in part.splits.items()} == {
        "train_dense": ((0,), (0,)),
        "test_novel_view": ((1,), (1,)),
    }
    assert list(selected(drawn, [1, 2], [0]).splits) == ["train_dense"]


def test_the_rate_is_that_of_the_time_steps(drawn: Capture) -> None:
    assert selected(drawn, [0, 1, 2], [0]).frame_rate_hz == 12.5
    assert selected(drawn, [0, 2], [0]).frame_rate_hz == 6.25
    assert selected(drawn, [3], [0]).frame_rate_hz == 12.5


def test_surfaces_go_with_their_time_steps(drawn: Capture) -> None:
    def load_surface(frame_id: int) -> Mesh:
        return Mesh(vertices=torch.full((3, 3), float(frame_id)), faces=torch.tensor([[0, 1, 2]]))

    surface = selected(replace(drawn, load_surface=load_surface), [3, 1], [0]).load_surface(0)
    assert surface is not None
    assert float(surface.vertices[0, 0]) == 3
