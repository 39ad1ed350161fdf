"""Planted faults: the diagnosis names the one that is there, and none where there is none."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache

import cv2
import numpy as np
import pytest
import torch

from avatar.body import load_body
from avatar.evaluate import Findings, diagnose
from avatar.geometry import multiply_quats, quats_from_axis_angles
from avatar.model import Avatar, AvatarConfig
from avatar.render import orbit, render
from avatar.structs import Camera, Capture, Frame, Pose, Rendering, Split

SIZE_PX, FRAMES, CAMERAS = 256, 6, 4
ARM = load_body().joint_names.index("upperarm01.L")
Fault = Callable[[Frame], Frame]


def turned(pose: Pose, radians: float, joint: int = ARM) -> Pose:
    """The pose with one joint turned about the axis that lifts an arm sideways."""
    turn = torch.zeros(len(pose.local_quats), 3)
    turn[joint, 1] = radians
    return replace(pose, local_quats=multiply_quats(pose.local_quats, quats_from_axis_angles(turn)))


@cache
def person() -> Avatar:
    """Somebody in camouflage, who turns while lifting an arm."""
    body = load_body()
    poses = [turned(turned(body.rest_pose(), 0.05 * i), 0.04 * i, joint=0) for i in range(FRAMES)]
    stacked = Pose(
        local_quats=torch.stack([pose.local_quats for pose in poses]),
        root_position_world=torch.stack([pose.root_position_world for pose in poses]),
    )
    avatar = Avatar(shape=body.default_shape(), poses=stacked, frame_ids=range(FRAMES), config=AvatarConfig()).eval()
    waves = 30 * torch.randn(3, 5, 3, generator=torch.Generator().manual_seed(3))
    pattern = torch.einsum("nd,dkc->nkc", avatar.canonical.roots, waves).sin().mean(1)
    avatar.canonical.colors.data = (0.45 + 0.5 * pattern).clamp(0.1, 0.75)
    avatar.canonical.opacity_logits.data.fill_(4.0)
    return avatar


@cache
def cameras() -> tuple[Camera, ...]:
    """All around, unlike an orbit of equal steps seen from the person's sides too."""
    targets = person().template.vertices.aminmax(dim=0)
    centre = ((targets.min + targets.max) / 2).expand(CAMERAS, 3)
    return tuple(orbit(centre, 3.9, height=SIZE_PX, width=SIZE_PX))


@torch.no_grad()
def picture(frame: Frame) -> Rendering:
    """What the avatar looks like where the capture says that it is."""
    return render(person().posed(frame.pose), frame.camera)


@cache
def clean(frame_id: int, camera_id: int) -> Frame:
    """A picture of the avatar itself, and a little noise."""
    pose, camera = replace(person().poses[frame_id], frame_id=None), cameras()[camera_id]
    return photographed(pose, camera, frame_id, camera_id)


@torch.no_grad()
def photographed(pose: Pose, camera: Camera, frame_id: int, camera_id: int) -> Frame:
    """The avatar in a pose, seen by a camera, as a picture of a capture."""
    image = render(person().posed(pose), camera)
    is_foreground = image.alpha > 0.5
    noise = 0.01 * torch.randn(SIZE_PX, SIZE_PX, 3, generator=torch.Generator().manual_seed(frame_id * 7 + camera_id))
    color = ((image.color + noise).clamp(0, 1)) * is_foreground[..., None]
    return Frame(
        camera=camera, image=color, is_foreground=is_foreground, pose=pose, frame_id=frame_id, camera_id=camera_id
    )


def findings(fault: Fault = lambda frame: frame) -> Findings:
    """The diagnosis of a capture whose pictures a fault has gone through."""
    split = Split(name="train", frame_ids=tuple(range(FRAMES)), camera_ids=tuple(range(CAMERAS)))
    capture = Capture(
        name="camouflage",
        cameras=cameras(),
        poses=person().poses,
        shape=person().shape,
        splits={"train": split},
        frame_rate_hz=10.0,
        load_frame=lambda frame_id, camera_id, _: fault(clean(frame_id, camera_id)),
    )
    return Findings.of(diagnose(capture, split, person(), picture))


def shifted(frame: Frame) -> Frame:
    """Camera 2 is 2 pixels further right than its calibration says."""
    if frame.camera_id != 2:
        return frame
    intrinsics_px = frame.camera.intrinsics_px.clone()
    intrinsics_px[0, 2] += 2
    camera = replace(frame.camera, intrinsics_px=intrinsics_px)
    return replace(photographed(frame.pose, camera, frame.frame_id, frame.camera_id), camera=frame.camera)


def zoomed(frame: Frame) -> Frame:
    """Camera 0 has a focal length 1.5 % longer than its calibration says."""
    if frame.camera_id != 0:
        return frame
    intrinsics_px = frame.camera.intrinsics_px.clone()
    intrinsics_px[[0, 1], [0, 1]] *= 1.015
    camera = replace(frame.camera, intrinsics_px=intrinsics_px)
    return replace(photographed(frame.pose, camera, frame.frame_id, frame.camera_id), camera=frame.camera)


def brighter(frame: Frame) -> Frame:
    """Camera 1 exposes by a fifth more."""
    return replace(frame, image=1.2 * frame.image) if frame.camera_id == 1 else frame


def misposed(frame: Frame) -> Frame:
    """At times 3 and 4 the left arm was elsewhere."""
    if frame.frame_id not in (3, 4):
        return frame
    pose = turned(frame.pose, 0.25)
    return replace(photographed(pose, frame.camera, frame.frame_id, frame.camera_id), pose=frame.pose)


def eroded(frame: Frame) -> Frame:
    """The masks of camera 3 lack 2 pixels all around."""
    if frame.camera_id != 3:
        return frame
    mask = torch.from_numpy(cv2.erode(frame.is_foreground.numpy().astype(np.uint8), np.ones((5, 5), np.uint8)) > 0)
    return replace(frame, image=frame.image * mask[..., None], is_foreground=mask)


def beheaded(frame: Frame) -> Frame:
    """One mask lost the upper third of the person."""
    if (frame.frame_id, frame.camera_id) != (5, 1):
        return frame
    rows = frame.is_foreground.any(1).nonzero()[:, 0]
    mask = frame.is_foreground.clone()
    mask[: int(rows[len(rows) // 3])] = False
    return replace(frame, image=frame.image * mask[..., None], is_foreground=mask)


FAULTS: dict[Fault, tuple[str, str, str]] = {
    shifted: ("calibration", "orbit_2", "orbit_2 is shifted by 2.0 px to the right"),
    zoomed: ("calibration", "orbit_0", "orbit_0 is 1.5 % too large"),
    brighter: ("colour", "orbit_1", "The pictures of orbit_1 are 20 % brighter"),
    misposed: ("pose", "frames 3-4", "Frames 3-4: the pose is off, most of all the left"),
    eroded: ("mask", "orbit_3", "The masks of orbit_3 are"),
    beheaded: ("mask", "frame 5 of orbit_1", "The mask of frame 5 of orbit_1 disagrees"),
}


def test_nothing_is_wrong() -> None:
    assert findings().causes == ()


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_the_planted_fault_is_named_and_no_other(fault: Fault) -> None:
    kind, what, words = FAULTS[fault]
    causes = findings(fault).causes
    assert [(cause.kind, cause.what) for cause in causes] == [(kind, what)]
    assert causes[0].sentence.startswith(words)
    assert 0 < causes[0].share <= 1


def test_two_faults_are_ranked() -> None:
    causes = findings(lambda frame: shifted(brighter(frame))).causes
    assert {(cause.kind, cause.what) for cause in causes} == {("colour", "orbit_1"), ("calibration", "orbit_2")}
    assert causes[0].share >= causes[1].share
