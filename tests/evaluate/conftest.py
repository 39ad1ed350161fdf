"""A capture of flat rectangles and a renderer that is wrong by a known amount; a person and cameras around it."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from avatar.body import load_body
from avatar.geometry import multiply_quats, quats_from_axis_angles
from avatar.model import HybridAvatar, HybridAvatarConfig
from avatar.render import orbit
from avatar.structs import Camera, Capture, Frame, Pose, Rendering, Shape, Split

SIZE_PX = 176  # enough for MS-SSIM


@pytest.fixture
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache in which nothing has been fetched."""
    monkeypatch.setenv("AVATAR_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def capture() -> Capture:
    """Two cameras, three frames; the person is a grey rectangle on black."""
    cameras = tuple(
        Camera(name=name, camera_from_world=torch.eye(4), intrinsics_px=torch.eye(3), height=SIZE_PX, width=SIZE_PX)
        for name in ("left", "<b>right</b> & co")
    )
    pose = Pose(local_quats=torch.zeros(3, 1, 4), root_position_world=torch.zeros(3, 3))

    def load_frame(frame_id: int, camera_id: int, cropped: bool) -> Frame:
        assert not cropped, "the protocol judges whole pictures"
        is_foreground = torch.zeros(SIZE_PX, SIZE_PX, dtype=torch.bool)
        is_foreground[40:140, 60:110] = True
        return Frame(
            camera=cameras[camera_id],
            image=0.4 * is_foreground[..., None].float().expand(-1, -1, 3),
            is_foreground=is_foreground,
            pose=pose,
            frame_id=frame_id,
            camera_id=camera_id,
        )

    return Capture(
        name="sub<script>ject",
        cameras=cameras,
        poses=pose,
        shape=Shape(names=(), values=torch.zeros(0)),
        splits={
            "test": Split(name="test", frame_ids=(0, 1, 2), camera_ids=(0, 1)),
            "none": Split(name="none", frame_ids=(), camera_ids=(0, 1)),
        },
        frame_rate_hz=10.0,
        load_frame=load_frame,
    )


@pytest.fixture
def render_frame() -> Callable[[Frame], Rendering]:
    """The person brighter by 0.2 in frame 0, 0.1 in frame 1 and 0.04 in frame 2."""

    def render(frame: Frame) -> Rendering:
        alpha = frame.is_foreground.float()
        return Rendering(color=frame.image + (0.2, 0.1, 0.04)[frame.frame_id] * alpha[..., None], alpha=alpha)

    return render


@pytest.fixture(scope="session")
def person() -> HybridAvatar:
    """Somebody in camouflage, in six poses: who turns, and lifts the left arm."""
    body = load_body()
    arm, rest, poses = body.joint_names.index("upperarm01.L"), body.rest_pose(), []
    for frame in range(6):
        turns = torch.zeros(len(body.joint_names), 3)
        turns[arm, 1], turns[0, 1] = 0.05 * frame, 0.04 * frame
        poses.append(multiply_quats(rest.local_quats, quats_from_axis_angles(turns)))
    stacked = Pose(local_quats=torch.stack(poses), root_position_world=rest.root_position_world.expand(6, 3))
    avatar = HybridAvatar(
        shape=body.default_shape(), poses=stacked, frame_ids=range(6), config=HybridAvatarConfig()
    ).eval()
    waves = 30 * torch.randn(3, 5, 3, generator=torch.Generator().manual_seed(3))
    pattern = torch.einsum("nd,dkc->nkc", avatar.canonical.roots, waves).sin().mean(1)
    avatar.canonical.colors.data = (0.45 + 0.5 * pattern).clamp(0.1, 0.75)
    avatar.canonical.opacity_logits.data.fill_(4.0)
    return avatar


@pytest.fixture(scope="session")
def ring(person: HybridAvatar) -> tuple[Camera, ...]:
    """Four cameras around the person; the first looks at the front."""
    lowest, highest = person.template.vertices.aminmax(dim=0)
    centre = ((lowest + highest) / 2).expand(4, 3)
    return tuple(orbit(centre, 3.9, height=256, width=256))


@pytest.fixture(scope="session")
def unpictured(person: HybridAvatar, ring: tuple[Camera, ...]) -> Capture:
    """The person before the ring, for those who look at poses and cameras alone."""

    def load_frame(frame_id: int, camera_id: int, cropped: bool) -> Frame:
        raise AssertionError("nobody asks for a picture")

    return Capture(
        name="x",
        cameras=ring,
        poses=person.poses,
        shape=person.shape,
        splits={},
        frame_rate_hz=1.0,
        load_frame=load_frame,
    )
