"""Planted faults: the diagnosis names the one that is there, and none where there is none."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest
import torch

from avatar.body import load_body
from avatar.evaluate import Diagnosis, DiagnosisConfig, Findings, diagnose, sampled
from avatar.evaluate.diagnosis_page import diagnosis_section
from avatar.geometry import multiply_quats, quats_from_axis_angles
from avatar.model import HybridAvatar
from avatar.render import render
from avatar.structs import Camera, Capture, Frame, Pose, Rendering, Split


@dataclass(frozen=True)
class Studio:
    """Takes pictures of the avatar itself, with a little noise: a capture that leaves nothing to explain."""

    person: HybridAvatar
    cameras: tuple[Camera, ...]
    taken: dict[tuple[int, int], Frame] = field(default_factory=dict)

    @torch.no_grad()
    def photograph(self, pose: Pose, camera: Camera, frame_id: int, camera_id: int) -> Frame:
        image = render(self.person.posed(pose), camera)
        is_foreground = image.alpha > 0.5
        generator = torch.Generator().manual_seed(10 * frame_id + camera_id)
        color = image.color + 0.01 * torch.randn(image.color.shape, generator=generator)
        return Frame(
            camera=camera,
            image=color.clamp(0, 1) * is_foreground[..., None],
            is_foreground=is_foreground,
            pose=pose,
            frame_id=frame_id,
            camera_id=camera_id,
        )

    def clean(self, frame_id: int, camera_id: int) -> Frame:
        key = frame_id, camera_id
        if key not in self.taken:
            self.taken[key] = self.photograph(self.person.poses[frame_id], self.cameras[camera_id], *key)
        return self.taken[key]

    def retaken(self, frame: Frame, pose: Pose | None = None, intrinsics_px: torch.Tensor | None = None) -> Frame:
        """The picture as it is with another pose or camera than the capture says."""
        camera = frame.camera if intrinsics_px is None else replace(frame.camera, intrinsics_px=intrinsics_px)
        taken = self.photograph(pose or frame.pose, camera, frame.frame_id, frame.camera_id)
        return replace(taken, pose=frame.pose, camera=frame.camera)

    @torch.no_grad()
    def view(self, frame: Frame) -> Rendering:
        return render(self.person.posed(frame.pose), frame.camera)

    def diagnose(self, *faults: "Fault") -> Findings:
        """The diagnosis of a capture whose pictures the faults have gone through."""
        split = Split(name="train", frame_ids=tuple(range(6)), camera_ids=tuple(range(4)))

        def load_frame(frame_id: int, camera_id: int, cropped: bool) -> Frame:
            frame = self.clean(frame_id, camera_id)
            for fault in faults:
                frame = fault(self, frame)
            return frame

        capture = Capture(
            name="camouflage",
            cameras=self.cameras,
            poses=self.person.poses,
            shape=self.person.shape,
            splits={"train": split},
            frame_rate_hz=10.0,
            load_frame=load_frame,
        )
        return Findings.of(diagnose(capture, split, self.person, self.view))


Fault = Callable[[Studio, Frame], Frame]


@pytest.fixture(scope="module")
def studio(person: HybridAvatar, ring: tuple[Camera, ...]) -> Studio:
    return Studio(person, ring)


def shifted(studio: Studio, frame: Frame) -> Frame:
    """Pictures of camera 2 lie 2 pixels further right than its calibration says."""
    if frame.camera_id != 2:
        return frame
    return studio.retaken(
        frame, intrinsics_px=frame.camera.intrinsics_px + torch.tensor([[0, 0, 2.0], [0] * 3, [0] * 3])
    )


def zoomed(studio: Studio, frame: Frame) -> Frame:
    """The focal length of camera 0 is 1.5 % longer than its calibration says."""
    if frame.camera_id != 0:
        return frame
    return studio.retaken(frame, intrinsics_px=frame.camera.intrinsics_px * torch.tensor([1.015, 1.015, 1.0]))


def brighter(studio: Studio, frame: Frame) -> Frame:
    """Camera 1 exposes by a fifth more."""
    return replace(frame, image=1.2 * frame.image) if frame.camera_id == 1 else frame


def misposed(studio: Studio, frame: Frame) -> Frame:
    """At times 3 and 4 the left arm was elsewhere."""
    if frame.frame_id not in (3, 4):
        return frame
    turns = torch.zeros(len(frame.pose.local_quats), 3)
    turns[load_body().joint_names.index("upperarm01.L"), 1] = 0.25
    moved = multiply_quats(frame.pose.local_quats, quats_from_axis_angles(turns))
    return studio.retaken(frame, pose=replace(frame.pose, local_quats=moved))


def eroded(studio: Studio, frame: Frame) -> Frame:
    """The masks of camera 3 lack 2 pixels all around."""
    if frame.camera_id != 3:
        return frame
    mask = cv2.erode(frame.is_foreground.numpy().astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    return masked(frame, torch.from_numpy(mask))


def beheaded(studio: Studio, frame: Frame) -> Frame:
    """One mask lost the upper third of the person."""
    if (frame.frame_id, frame.camera_id) != (5, 1):
        return frame
    rows = frame.is_foreground.any(1).nonzero()[:, 0]
    mask = frame.is_foreground.clone()
    mask[: int(rows[len(rows) // 3])] = False
    return masked(frame, mask)


def masked(frame: Frame, mask: torch.Tensor) -> Frame:
    return replace(frame, image=frame.image * mask[..., None], is_foreground=mask)


FAULTS: dict[Fault, tuple[str, str, str]] = {
    shifted: ("calibration", "orbit_2", "orbit_2 is shifted by at least 2.0 px to the right"),
    zoomed: ("calibration", "orbit_0", "orbit_0 is 1.5 % too large"),
    brighter: ("colour", "orbit_1", "The pictures of orbit_1 are at least 20 % brighter"),
    misposed: ("pose", "frames 3-4", "Frames 3-4: the pose is off, most of all the left"),
    eroded: ("mask", "orbit_3", "The masks of orbit_3 are"),
    beheaded: ("mask", "frame 5 of orbit_1", "The mask of frame 5 of orbit_1 disagrees"),
}


def test_nothing_is_wrong(studio: Studio) -> None:
    assert studio.diagnose().causes == ()


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_the_planted_fault_is_named_and_no_other(studio: Studio, fault: Fault) -> None:
    kind, what, words = FAULTS[fault]
    causes = studio.diagnose(fault).causes
    assert [(cause.kind, cause.what) for cause in causes] == [(kind, what)]
    assert causes[0].sentence.startswith(words)
    assert 0 < causes[0].share <= 1


def test_two_faults_are_ranked(studio: Studio, tmp_path: Path) -> None:
    found = studio.diagnose(brighter, shifted)
    assert {(cause.kind, cause.what) for cause in found.causes} == {("colour", "orbit_1"), ("calibration", "orbit_2")}
    assert found.causes[0].share >= found.causes[1].share
    found.write(tmp_path / "diagnosis_train.json")
    assert Diagnosis.read(tmp_path / "diagnosis_train.json") == found.diagnosis


def test_the_page_says_it_in_words(studio: Studio, tmp_path: Path) -> None:
    page = diagnosis_section(studio.diagnose(shifted, misposed), tmp_path)
    ElementTree.fromstring(f"<html>{page}</html>")
    assert page.index("orbit_2 is shifted") < page.index("Figures behind it")
    assert "Frames 3-4: the pose is off" in page
    assert page.count("<tr>") == 2 + 4 + 6
    assert "Nothing is wrong with cameras" in diagnosis_section(studio.diagnose(), tmp_path)


def test_another_file_is_no_diagnosis(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"subject": "x", "split": "y", "pictures": [{}]}')
    with pytest.raises(ValueError, match=r"a\.json: not a diagnosis"):
        Diagnosis.read(tmp_path / "a.json")


def test_pictures_are_drawn_evenly() -> None:
    split = Split(name="train", frame_ids=tuple(range(0, 40, 2)), camera_ids=(1, 4, 6))
    part = sampled(split, DiagnosisConfig(max_frames=3, max_cameras=2))
    assert (part.frame_ids, part.camera_ids) == ((0, 18, 38), (1, 6))
    with pytest.raises(ValueError, match="max_frames: expected at least 1, got 0"):
        DiagnosisConfig(max_frames=0)
