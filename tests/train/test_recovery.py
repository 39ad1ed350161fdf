"""A capture that is wrong in one respect, and an avatar that is right: its pictures say what is wrong."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest
import torch

from avatar.body import load_body
from avatar.canonical import HybridConfig
from avatar.deform import CorrectivesConfig, DeformConfig, RefineConfig
from avatar.geometry import quats_from_axis_angles
from avatar.losses import LossConfig, compare
from avatar.model import HybridAvatar, HybridAvatarConfig
from avatar.render import RenderConfig, orbit, render
from avatar.structs import Camera, Frame, Pose, Rendering
from avatar.train import LearningRates, RefineRates
from avatar.train.optimizer import Optimizer

FRAMES, SIDE = (0, 1, 2), 96
FROZEN = LearningRates(
    **{name: 0.0 for name in LearningRates.__dataclass_fields__ if name != "refine"},
    refine=RefineRates(poses=4e-3, joints=2e-3, cameras=2e-3, exposure=2e-2),
)


def poses() -> Pose:
    """Three poses with bent limbs, the root at the origin."""
    generator = torch.Generator().manual_seed(3)
    angles = 0.25 * torch.randn(len(FRAMES), len(load_body("cmu_mb").parents), 3, generator=generator)
    return Pose(local_quats=quats_from_axis_angles(angles), root_position_world=torch.zeros(len(FRAMES), 3))


def person(refine: RefineConfig) -> HybridAvatar:
    """Somebody in harlequin, the same each time."""
    nothing = DeformConfig(correctives=CorrectivesConfig(num_modes=0))
    config = HybridAvatarConfig(canonical=HybridConfig(num_gaussians=1500), deform=nothing, refine=refine)
    shape = load_body("cmu_mb").default_shape()
    avatar = HybridAvatar(
        shape=shape, poses=poses(), frame_ids=FRAMES, config=config, rig="cmu_mb", cameras=("orbit_0", "orbit_1")
    )
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        avatar.canonical.colors[:] = torch.rand(avatar.canonical.colors.shape, generator=generator)
        avatar.canonical.opacity_logits.fill_(3.0)
    return avatar


@dataclass(frozen=True, kw_only=True, eq=False)
class Studio:
    """Two cameras, and what they see of the true person."""

    cameras: list[Camera]
    truth: HybridAvatar
    refined: HybridAvatar

    @torch.no_grad()
    def picture(self, row: int, camera: Camera) -> Frame:
        pose = replace(poses()[row], frame_id=FRAMES[row])
        image = render(self.truth.posed(pose, camera.name), camera)
        image = self.truth.exposed(image, camera.name)
        return Frame(
            camera=camera,
            image=image.color,
            is_foreground=image.alpha > 0.5,
            pose=pose,
            frame_id=FRAMES[row],
            camera_id=0,
        )

    def fit(self, epochs: int) -> None:
        """Learn the corrections, with all pictures in each step."""
        pictures = [self.picture(row, camera) for row in range(len(FRAMES)) for camera in self.cameras]
        optimizer = Optimizer(self.refined, FROZEN)
        for epoch in range(epochs):
            for frame in pictures:
                scene = self.refined.posed(frame.pose, frame.camera.name)
                image = self.refined.exposed(render(scene, frame.camera, RenderConfig()), frame.camera.name)
                loss = compare(image, frame, LossConfig(mask=0.0)).total + self.refined.correction_cost()
                (loss / len(pictures)).backward()
            optimizer.step(1 - 0.9 * epoch / epochs)

    @torch.no_grad()
    def misplacement_m(self) -> float:
        """How far Gaussians are from where their camera sees them, root mean square."""
        views = [
            (replace(poses()[row], frame_id=FRAMES[row]), camera.name) for row in (0, 1, 2) for camera in self.cameras
        ]
        gaps = [self.refined.posed(*view).means - self.truth.posed(*view).means for view in views]
        return float(torch.cat(gaps).square().sum(1).mean().sqrt())


def studio(refine: RefineConfig) -> Studio:
    cameras = orbit(torch.zeros(2, 3), 4.2, height=SIDE, width=SIDE, turns=0.6)
    return Studio(cameras=cameras, truth=person(refine), refined=person(refine))


def wrong_poses(avatar: HybridAvatar) -> None:
    assert avatar.refinement.poses
    generator = torch.Generator().manual_seed(5)
    avatar.refinement.poses.axis_angles[:] = 0.06 * torch.randn(
        avatar.refinement.poses.axis_angles.shape[1:], generator=generator
    )
    avatar.refinement.poses.shifts[:] = torch.tensor([[0.02, 0.0, -0.02], [0.03, 0.0, 0.0], [0.02, 0.01, 0.01]])


def wrong_joints(avatar: HybridAvatar) -> None:
    assert avatar.refinement.joints
    generator = torch.Generator().manual_seed(6)
    avatar.refinement.joints.offsets[:] = 0.03 * torch.randn(
        avatar.refinement.joints.offsets.shape, generator=generator
    )


def wrong_cameras(avatar: HybridAvatar) -> None:
    assert avatar.refinement.cameras
    avatar.refinement.cameras.shifts[0] = torch.tensor([0.03, -0.02, 0.04])
    avatar.refinement.cameras.turns[0] = torch.tensor([0.02, 0.03, -0.02])


@pytest.mark.parametrize(
    ("part", "spoil"), [("poses", wrong_poses), ("joints", wrong_joints), ("cameras", wrong_cameras)]
)
def test_the_person_is_put_right(part: str, spoil: Callable[[HybridAvatar], None]) -> None:
    scene = studio(RefineConfig(**{part: True}))
    with torch.no_grad():
        spoil(scene.truth)
    before = scene.misplacement_m()
    assert before > 0.01
    known = {name: value.clone() for name, value in scene.refined.canonical.state_dict().items()}
    scene.fit(40)
    assert scene.misplacement_m() < 0.3 * before
    frozen = scene.refined.canonical.state_dict()
    assert all(torch.equal(value, frozen[name]) for name, value in known.items())


def test_the_exposure_is_put_right() -> None:
    scene = studio(RefineConfig(exposure=True))
    assert scene.truth.exposure
    with torch.no_grad():
        scene.truth.exposure.log_gains[:] = torch.tensor([[0.2, 0.1, -0.1], [-0.2, -0.1, 0.1]])
    before = colour_error(scene)
    assert before > 0.05
    scene.fit(40)
    assert colour_error(scene) < 0.3 * before


@torch.no_grad()
def colour_error(scene: Studio) -> float:
    """Of greys from dark to light, root mean square over cameras."""
    greys = Rendering(color=torch.linspace(0.2, 0.8, 7)[:, None, None].expand(7, 1, 3), alpha=torch.ones(7, 1))
    views = [(greys, camera.name) for camera in scene.cameras]
    gaps = [scene.refined.exposed(*view).color - scene.truth.exposed(*view).color for view in views]
    return float(torch.cat(gaps).square().mean().sqrt())
