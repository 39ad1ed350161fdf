"""Mistakes at the door of a set, each noticed by the pictures."""

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from avatar.capture import CaptureError, MissingFileError, check_person, first_time_step
from avatar.structs import Body, Capture, Frame, Mesh, Pose

FOLDER = Path("set")


def stick(height: float = 1.8, place: tuple[float, float, float] = (0.0, 0.0, 0.9)) -> Body:
    """Twenty joints in a line of a tenth of a metre about ``place``, of a person of some height at rest."""
    joints = torch.zeros(20, 3)
    joints[:, 2] = torch.linspace(-0.05, 0.05, 20)
    pose = Pose(local_quats=torch.tensor([[1.0, 0, 0, 0]]).expand(20, 4), root_position_world=joints[0])
    moved = torch.eye(4).repeat(20, 1, 1)
    moved[:, :3, 3] = torch.tensor(place)
    vertices = torch.tensor([[0.0, 0.0, 0.0], [0.0, 0.0, height], [0.1, 0.0, 0.0]])
    return Body(
        pose=pose,
        rest=Mesh(vertices=vertices, faces=torch.tensor([[0, 1, 2]])),
        parents=tuple(range(-1, 19)),
        joints_rest=joints,
        posed_from_rest=moved,
        bone_ids=torch.zeros(3, 1, dtype=torch.int64),
        bone_weights=torch.ones(3, 1),
    )


def with_masks(drawn: Capture, change: Callable[[torch.Tensor], torch.Tensor]) -> Capture:
    """The capture with other masks."""

    def load_frame(frame_id: int, camera_id: int, cropped: bool) -> Frame:
        frame = drawn.load_frame(frame_id, camera_id, cropped)
        return replace(frame, is_foreground=change(frame.is_foreground))

    return replace(drawn, load_frame=load_frame)


def test_a_person_where_it_should_be_passes(drawn: Capture, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        check_person(drawn, stick(), first_time_step(drawn), FOLDER)
    assert not caplog.records


@pytest.mark.parametrize(
    ("body", "change", "problem"),
    [
        (stick(height=0.5), torch.clone, "its person is 0.50 m tall"),
        (stick(height=180.0), torch.clone, "its person is 180.00 m tall"),
        (stick(place=(900.0, 0.0, 900.0)), torch.clone, "cameras see 0% of the body's joints .* one unit"),
        (stick(), torch.logical_not, "masks cover .* they seem inverted"),
        (stick(place=(0.0, 0.0, 1.6)), torch.clone, "masks cover 0% of the body's joints .* how the body is placed"),
    ],
)
def test_mistakes_are_named(
    drawn: Capture, body: Body, change: Callable[[torch.Tensor], torch.Tensor], problem: str
) -> None:
    with pytest.raises(CaptureError, match=f"^set: {problem}"):
        check_person(with_masks(drawn, change), body, 0, FOLDER)


def test_cameras_in_millimetres_are_named(drawn: Capture) -> None:
    cameras = []
    for camera in drawn.cameras:
        transform = camera.camera_from_world.clone()
        transform[:3, 3] /= 1000
        cameras.append(replace(camera, camera_from_world=transform))

    def load_frame(frame_id: int, camera_id: int, cropped: bool) -> Frame:
        return replace(drawn.load_frame(frame_id, camera_id, cropped), camera=cameras[camera_id])

    with pytest.raises(CaptureError, match="one unit, and that cameras lead from the world to the camera"):
        check_person(replace(drawn, load_frame=load_frame), stick(), 0, FOLDER)


def test_a_loose_fit_is_a_warning(drawn: Capture, caplog: pytest.LogCaptureFixture) -> None:
    def lower_half(mask: torch.Tensor) -> torch.Tensor:
        kept = mask.clone()
        kept[:21] = False
        return kept

    with caplog.at_level(logging.WARNING):
        check_person(with_masks(drawn, lower_half), stick(), 0, FOLDER)
    assert "the fit is loose" in caplog.text


def test_missing_pictures_and_empty_masks_say_nothing(drawn: Capture) -> None:
    far = stick(place=(0.0, 0.0, 1.6))
    check_person(with_masks(drawn, torch.zeros_like), far, 0, FOLDER)

    def nothing(frame_id: int, camera_id: int, cropped: bool) -> Frame:
        raise MissingFileError(FOLDER, "no such file")

    check_person(replace(drawn, load_frame=nothing), far, 0, FOLDER)
