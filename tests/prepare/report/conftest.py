"""A capture of the default body at rest, whose masks are its outlines moved by a known number of pixels."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from avatar.body import load_body
from avatar.prepare import CameraFindings, Findings
from avatar.render import orbit, view_mesh
from avatar.structs import Capture, Frame, Pose

FRAMES = 9
MakeCapture = Callable[[int], Capture]
MakeFindings = Callable[[Capture], Findings]


@pytest.fixture(scope="session")
def make_capture() -> MakeCapture:
    """A capture with so many cameras, called camera 0, camera 1 and so on; pictures grey, the person white."""
    model = load_body()
    shape = model.default_shape()
    body = model.shaped(shape)
    rest = body.rest_pose()
    posed = body.posed(rest)
    poses = Pose(
        local_quats=rest.local_quats.expand(FRAMES, -1, 4),
        root_position_world=rest.root_position_world
        + torch.linspace(0, 1, FRAMES)[:, None] * torch.tensor([1e-3, 0, 0]),
    )

    def make(count: int) -> Capture:
        ring = orbit(posed.vertices_world.mean(dim=0).expand(count, 3), 4.0, height=120, width=90)
        eyes = [replace(camera, name=f"camera {i}") for i, camera in enumerate(ring)]

        def load_frame(frame_id: int, camera_id: int, cropped: bool) -> Frame:
            assert not cropped
            is_person = view_mesh(posed.vertices_world, body.rest.faces, eyes[camera_id]).raster.triangles >= 0
            return Frame(
                camera=eyes[camera_id],
                image=0.3 + 0.7 * is_person[..., None].float().expand(-1, -1, 3),
                is_foreground=is_person,
                pose=poses[frame_id],
                frame_id=frame_id,
                camera_id=camera_id,
            )

        return Capture(
            name="x",
            cameras=tuple(eyes),
            poses=poses,
            shape=shape,
            splits={},
            frame_rate_hz=10.0,
            load_frame=load_frame,
        )

    return make


@pytest.fixture(scope="session")
def nothing() -> MakeFindings:
    """Findings about a capture of which nothing is known."""

    def make(capture: Capture) -> Findings:
        unknown = torch.full((capture.num_frames, len(capture.cameras)), torch.nan)
        return Findings(
            name=capture.name,
            frame_rate_hz=capture.frame_rate_hz,
            cameras=tuple(unknown_camera(camera.name) for camera in capture.cameras),
            signals=(),
            points_world=torch.full((capture.num_frames, 33, 3), torch.nan),
            residuals_px=unknown,
            fit_residuals_px=unknown,
            disagreements=unknown,
            overlaps=unknown,
            bones=(),
            is_refined=False,
            warnings=(),
        )

    return make


def unknown_camera(name: str) -> CameraFindings:
    """A camera of which nothing is known."""
    return CameraFindings(
        name=name,
        video="v.mp4",
        offset_s=0.0,
        sync_confidence=torch.nan,
        missing=0,
        unseen=0,
        before_px=torch.nan,
        after_px=torch.nan,
        unrest=torch.nan,
    )
