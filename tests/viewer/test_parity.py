"""The page in a real browser draws what our own renderer draws, and moves bodies as our own code does."""

import base64
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from importlib import import_module
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from avatar.body import load_body
from avatar.canonical import HybridConfig
from avatar.deform import (
    Blended,
    ControlGraphConfig,
    CorrectivesConfig,
    DeformConfig,
    DualQuaternion,
    LearnedMix,
    LightFieldConfig,
    Linear,
    NormalLightConfig,
)
from avatar.deform.skinning import _joint_rows
from avatar.export import web_scene
from avatar.geometry import quats_from_axis_angles
from avatar.model import HybridAvatar, HybridAvatarConfig
from avatar.render import RenderConfig, orbit, render
from avatar.structs import Camera, Pose

stage_page = import_module("avatar.tools.benches.browser").stage_page
SIZE, BACKGROUND = 256, (0.2, 0.4, 0.8)
MODES = CorrectivesConfig(num_modes=3, num_control_points=60, num_features=4, hidden=5)
NO_MODES = CorrectivesConfig(num_modes=0)
DEFORMS = {
    "linear": DeformConfig(skinning=Linear(), correctives=MODES, light=NormalLightConfig()),
    "dual quaternions": DeformConfig(skinning=DualQuaternion(), correctives=MODES),
    "jacobian of matrices": DeformConfig(skinning=Linear(), covariance="jacobian", correctives=NO_MODES),
    "learned mix": DeformConfig(
        skinning=LearnedMix(initial_dqs_fraction=0.4),
        covariance="jacobian",
        graph=ControlGraphConfig(num_nodes=60),
        correctives=MODES,
        light=LightFieldConfig(hidden=10, sees_directions=False),
    ),
    "graph of turns": DeformConfig(
        skinning=Blended(dqs_fraction=0.3), graph=ControlGraphConfig(num_nodes=60), correctives=MODES
    ),
}
SHOW = """async (background) => {
  globalThis.scene = avatarStage.readScene(await (await fetch("scene")).arrayBuffer());
  avatarStage.stage.setScene(scene);
  avatarStage.stage.setBackground(background);
}"""
PICTURE = """async ([quats, root, camera]) => {
  const [localQuats, rootPosition] = [Float32Array.from(quats), Float32Array.from(root)];
  avatarStage.stage.setPose({ localQuats, rootPosition, coefficients: null });
  const { data } = await avatarStage.stage.picture(camera, camera.width, camera.height);
  return btoa(Array.from(data, (value) => String.fromCharCode(value)).join(""));
}"""
LOSE = """async () => {
  const { stage } = avatarStage, told = [];
  const card = stage.canvas.getContext("webgl2").getExtension("WEBGL_lose_context");
  const change = (name) => new Promise((resolve) => stage.canvas.addEventListener(name, () => setTimeout(resolve)));
  stage.onProblem((message) => told.push(message));
  const lost = change("webglcontextlost"), restored = change("webglcontextrestored");
  card.loseContext();
  await lost;
  card.restoreContext();
  await restored;
  return told;
}"""


class Browser:
    """The built page with a stage of its own."""

    def __init__(self, page: Any, files: dict[str, bytes]) -> None:
        self.page, self.files, self.errors = page, files, []
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", lambda line: self.errors.append(line.text) if "THREE" in line.text else None)

    def show(self, avatar: HybridAvatar) -> None:
        self.files["scene"] = web_scene(avatar, "test")
        self.page.evaluate(SHOW, BACKGROUND)

    def picture(self, pose: Pose, camera: Camera) -> np.ndarray:
        """``h w 3``, sRGB; the pose's coefficients are the page's own."""
        quats, root = pose.local_quats.flatten().tolist(), pose.root_position_world.tolist()
        pixels = self.page.evaluate(PICTURE, [quats, root, as_page(camera)])
        assert not self.errors, self.errors[0]
        return np.frombuffer(base64.b64decode(pixels), np.uint8).reshape(camera.height, camera.width, 4)[..., :3] / 255

    def canvas(self) -> np.ndarray:
        """What the user sees now, ``h w 3``."""
        encoded = np.frombuffer(self.page.screenshot(), np.uint8)
        return np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR))[..., ::-1] / 255


def as_page(camera: Camera) -> dict:
    """The camera as the page has it."""
    return {
        "name": camera.name,
        "width": camera.width,
        "height": camera.height,
        "intrinsicsPx": camera.intrinsics_px.flatten().tolist(),
        "cameraFromWorld": camera.camera_from_world.flatten().tolist(),
    }


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    files: dict[str, bytes] = {}
    with ExitStack() as stack:
        try:
            page = stack.enter_context(stage_page(files))
        except ImportError as error:
            pytest.skip(str(error))
        yield Browser(page, files)


def make(deform: DeformConfig) -> HybridAvatar:
    """A small person of bright and translucent blobs, whose every part has learnt something."""
    torch.manual_seed(0)
    poses = Pose(
        local_quats=quats_from_axis_angles(0.3 * torch.randn(5, 31, 3)), root_position_world=0.2 * torch.randn(5, 3)
    )
    canonical = HybridConfig(num_gaussians=3000, sh_degree=2 if deform.light is None else 1)
    config = HybridAvatarConfig(canonical=canonical, deform=deform)
    avatar = HybridAvatar(
        shape=load_body().default_shape(), poses=poses, frame_ids=range(5), config=config, rig="cmu_mb"
    ).eval()
    with torch.no_grad():
        for name, parameter in avatar.named_parameters():
            spread = {"colors": 0.3, "sh_rest": 0.1, "quats": 1.0, "opacity_logits": 1.0, "log_scales": 0.3}
            parameter += spread.get(name.split(".")[-1], 0.05 if "canonical" not in name else 0.005) * torch.randn_like(
                parameter
            )
    return avatar


def poses() -> list[Pose]:
    """About as in training; bent far; and twisted by more than a quarter at elbows, knees and neck."""
    generator = torch.Generator().manual_seed(1)
    angles = torch.randn(3, 31, 3, generator=generator) * torch.tensor([0.2, 0.6, 0.1]).view(3, 1, 1)
    angles[2, ::3] += torch.tensor([0.0, 1.8, 0.0])
    angles[:, 0] = torch.tensor([[0.0, 0.0, 0.4], [0.5, 0.0, 2.0], [0.0, 0.0, -0.7]])
    roots = torch.tensor([[0.0, 0.0, 0.9], [0.4, -0.3, 1.1], [-2.0, 1.0, 0.8]])
    return [
        Pose(local_quats=quats_from_axis_angles(turn), root_position_world=root)
        for turn, root in zip(angles, roots, strict=True)
    ]


def camera_at(pose: Pose, angle: float) -> Camera:
    """Two and a half metres from the root, its axis beside the middle of the picture."""
    camera = orbit(pose.root_position_world[None], 2.5, height=SIZE, width=SIZE, start=angle)[0]
    beside = camera.intrinsics_px + torch.tensor([[0.0, 0, 13.3], [0, 20, -7.9], [0, 0, 0]])
    return replace(camera, intrinsics_px=beside)


@torch.no_grad()
def psnr(browser: Browser, avatar: HybridAvatar, pose: Pose, angle: float) -> float:
    camera = camera_at(pose, angle)
    expected = render(avatar.posed(pose), camera, RenderConfig(background=BACKGROUND)).color.clamp(0, 1)
    return _psnr(browser.picture(pose, camera), expected.numpy())


@pytest.mark.parametrize("name", DEFORMS)
def test_pictures_are_our_own(browser: Browser, name: str):
    """Eight bits of the browser's picture alone leave 59 dB."""
    avatar = make(DEFORMS[name])
    browser.show(avatar)
    found = [psnr(browser, avatar, pose, 2.0 * k) for k, pose in enumerate(poses())]
    assert min(found) >= 50, found


def test_another_skinning_is_that_skinning(browser: Browser):
    avatar = make(DEFORMS["linear"])
    browser.show(avatar)
    browser.page.evaluate("avatarStage.stage.setSkinning('dqs')")
    avatar.deform.config = replace(avatar.deform.config, skinning=DualQuaternion())
    assert psnr(browser, avatar, poses()[2], 0.0) >= 50
    browser.page.evaluate("avatarStage.stage.setSkinning('learned')")
    assert psnr(browser, avatar, poses()[2], 0.0) < 50


@torch.no_grad()
def test_another_shape_is_the_body_models_and_stays_on_the_floor(browser: Browser):
    """A parameter at its end alone, where what the file holds is exact but for half precision."""
    avatar = make(DEFORMS["linear"])
    browser.show(avatar)
    ranges, pose = browser.page.evaluate("scene.shape"), poses()[1]
    for row, value in ((1, ranges[1]["low"]), (4, ranges[4]["high"])):
        values = [each["value"] if k != row else value for k, each in enumerate(ranges)]
        browser.page.evaluate("(values) => avatarStage.stage.setShape(values)", values)
        before = avatar.body(avatar.shape, pose)
        after = avatar.body(replace(avatar.shape, values=torch.tensor(values)), pose)
        legs = [body.joints_rest[0, 2] - body.joints_rest[:, 2].min() for body in (before, after)]
        risen = pose.root_position_world + torch.stack([torch.zeros(()), torch.zeros(()), legs[1] - legs[0]])
        gaussians = avatar.canonical()
        assert gaussians.binding is not None
        moved = gaussians.binding.from_vertices(after.rest.vertices - before.rest.vertices)
        body = avatar.body(replace(avatar.shape, values=torch.tensor(values)), replace(pose, root_position_world=risen))
        posed = avatar.deform(replace(gaussians, means=gaussians.means + moved), body)
        camera = camera_at(pose, 0.5)
        expected = render(posed, camera, RenderConfig(background=BACKGROUND)).color.clamp(0, 1)
        assert _psnr(browser.picture(pose, camera), expected.numpy()) >= 50
    browser.page.evaluate("avatarStage.stage.setShape([])")


@torch.no_grad()
def test_joints_and_coefficients_are_our_own(browser: Browser):
    avatar = make(DEFORMS["linear"])
    browser.show(avatar)
    correctives = avatar.deform.correctives
    assert correctives is not None
    for pose in poses():
        quats, root = pose.local_quats.flatten().tolist(), pose.root_position_world.tolist()
        rows = browser.page.evaluate("([q, root]) => Array.from(avatarStage.jointRows(scene, q, root))", [quats, root])
        expected = _joint_rows(avatar.body(avatar.shape, pose))
        torch.testing.assert_close(_tensor(rows).view(-1, 16), expected, atol=1e-5, rtol=0)
        found = browser.page.evaluate("(q) => Array.from(avatarStage.coefficientsOf(scene, q))", quats)
        torch.testing.assert_close(_tensor(found), correctives.coefficients(pose), atol=1e-5, rtol=1e-5)


def test_the_canvas_shows_the_same_in_the_middle_of_the_page(browser: Browser):
    """Through a camera, sorted by the worker; beside the picture is background."""
    browser.show(make(DEFORMS["learned mix"]))
    pose = poses()[1]
    camera = camera_at(pose, 1.0)
    small = replace(
        camera,
        width=200,
        height=200,
        intrinsics_px=torch.diag(torch.tensor([200 / SIZE, 200 / SIZE, 1])) @ camera.intrinsics_px,
    )
    expected = browser.picture(pose, small)
    browser.page.evaluate("(camera) => avatarStage.stage.lookThrough(camera)", as_page(camera))
    deadline = time.monotonic() + 20
    while _psnr((found := browser.canvas())[:, 50:250], expected) < 45 and time.monotonic() < deadline:
        browser.page.wait_for_timeout(200)
    assert _psnr(found[:, 50:250], expected) >= 45
    assert np.abs(found[:, [10, 290]] - BACKGROUND).max() < 0.01
    browser.page.evaluate("avatarStage.stage.lookThrough(null)")


def test_a_lost_graphics_card_comes_back(browser: Browser):
    browser.show(make(DEFORMS["linear"]))
    pose = poses()[0]
    before = browser.picture(pose, camera_at(pose, 0.0))
    told = browser.page.evaluate(LOSE)
    browser.errors.clear()
    assert told[-1] is None
    assert "graphics card" in told[0]
    assert _psnr(browser.picture(pose, camera_at(pose, 0.0)), before) > 60


def _psnr(found: np.ndarray, expected: np.ndarray) -> float:
    return float(-10 * np.log10(((found - expected) ** 2).mean() + 1e-12))


def _tensor(values: list[float]) -> Tensor:
    return torch.tensor(values, dtype=torch.float32)
