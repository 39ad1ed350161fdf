"""Outlines of shapes of known size, and what is drawn on a picture."""

import re
from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np
import torch

from avatar.body import load_body
from avatar.prepare import Observations
from avatar.prepare.report.pictures import ASPECT, SIDE_PX, dots, outline, overlay
from avatar.render import view_mesh
from avatar.structs import Capture, Frame, Mesh


def numbers(path: str) -> np.ndarray:
    return np.array(re.findall(r"-?[\d.]+", path), float).reshape(-1, 2)


def posed(capture: Capture) -> Mesh:
    body = load_body().shaped(capture.shape)
    return Mesh(vertices=body.posed(capture.pose(0)).vertices_world, faces=body.rest.faces)


def test_the_outline_of_a_rectangle_is_its_corners() -> None:
    is_inside = torch.zeros(20, 30, dtype=torch.bool)
    is_inside[5:15, 10:22] = True
    corners = numbers(outline(is_inside))
    assert sorted(map(tuple, corners.tolist())) == [(10.5, 5.5), (10.5, 14.5), (21.5, 5.5), (21.5, 14.5)]
    assert outline(torch.zeros(20, 30, dtype=torch.bool)) == ""
    assert dots([(1.0, 2.5)]) == "M1 2.5h0"


def test_body_and_mask_coincide_where_they_are_the_same(make_capture: Callable[[int], Capture]) -> None:
    capture = make_capture(1)
    drawn = overlay(capture, posed(capture), 0, 0, None)
    assert drawn is not None
    body, mask = numbers(drawn.body), numbers(drawn.mask)
    np.testing.assert_allclose(body.min(axis=0), mask.min(axis=0), atol=1)
    np.testing.assert_allclose(body.max(axis=0), mask.max(axis=0), atol=1)
    assert drawn.landmarks == ()
    assert drawn.source.startswith("data:image/jpeg;base64,")
    pixels = cv2.imdecode(np.frombuffer(drawn.jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert pixels is not None
    assert pixels.shape[:2] == (drawn.height, drawn.width)


def test_a_large_picture_is_made_smaller_and_landmarks_with_it(make_capture: Callable[[int], Capture]) -> None:
    capture = make_capture(1)
    large = capture.cameras[0].scaled(20.0)

    def load_frame(frame_id: int, camera_id: int, cropped: bool) -> Frame:
        is_person = torch.zeros(large.height, large.width, dtype=torch.bool)
        return replace(
            capture.load_frame(frame_id, camera_id, cropped),
            camera=large,
            image=torch.zeros(large.height, large.width, 3),
            is_foreground=is_person,
        )

    shape = (capture.num_frames, 1, 33)
    points, confidences = torch.full((*shape, 2), torch.nan), torch.zeros(shape)
    body = posed(capture)
    is_body = view_mesh(body.vertices, body.faces, large).raster.triangles >= 0
    corner = torch.stack([is_body.any(dim=axis).nonzero()[0, 0] for axis in (0, 1)]) + 0.5
    points[0, 0, 3:6] = corner
    confidences[0, 0, :6] = torch.tensor([0.9, 0.9, 0.9, 0.1, 0.6, 0.9])
    seen = Observations(
        cameras=(large,),
        frame_rate_hz=1.0,
        points_px=points,
        confidences=confidences,
        points_world=body.vertices.mean(dim=0).expand(len(points), 33, 3),
        point_confidences=torch.zeros(len(points), 33),
        guesses_m=torch.zeros(*shape, 3),
        load_mask=lambda frame_id, camera_id: None,
    )
    drawn = overlay(replace(capture, load_frame=load_frame), body, 0, 0, seen)
    assert drawn is not None
    assert max(drawn.width, drawn.height) == SIDE_PX
    assert abs(drawn.width / drawn.height - ASPECT) < 0.05
    assert drawn.mask == ""
    assert len(set(drawn.landmarks)) == 1  # one of each kind, all at the corner
    corners, middles = numbers(drawn.misses)[::2], numbers(drawn.misses)[1::2]
    np.testing.assert_allclose(corners, numbers(drawn.body).min(axis=0)[None].repeat(3, axis=0), atol=1)
    np.testing.assert_allclose(numbers(drawn.landmarks[0].replace("h0", "")), corners[:1])
    assert middles.shape == (3, 2)
    assert (corners < middles).all()
    assert (middles < numbers(drawn.body).max(axis=0)).all()


def test_a_picture_that_cannot_be_read_is_left_out(make_capture: Callable[[int], Capture]) -> None:
    capture = make_capture(1)

    def load_frame(frame_id: int, camera_id: int, cropped: bool) -> Frame:
        raise FileNotFoundError("000000.jpg: is not there")

    assert overlay(replace(capture, load_frame=load_frame), posed(capture), 0, 0, None) is None


def test_a_body_that_is_nowhere_leaves_the_mask(make_capture: Callable[[int], Capture]) -> None:
    capture = make_capture(1)
    body = posed(capture)
    drawn = overlay(capture, replace(body, vertices=torch.full_like(body.vertices, torch.nan)), 0, 0, None)
    assert drawn is not None
    assert drawn.body == ""
    assert drawn.mask
