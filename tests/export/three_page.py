"""A page with three.js in a headless Chromium: how other programs see our glTF files."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from avatar.export.axes import Y_UP_FROM_WORLD
from avatar.structs import Camera
from tools.benches.browser import chromium

NODE_MODULES = Path(__file__).resolve().parents[2] / "viewer" / "node_modules"
ORIGIN = "http://page.test"
PAGE = """<!doctype html><title>glTF</title>
<script type="importmap">{"imports": {"three": "/three/build/three.module.js", "three/": "/three/"}}</script>
<script type="module">
import * as THREE from "three";
import { GLTFLoader } from "three/examples/jsm/loaders/GLTFLoader.js";
const file = await new GLTFLoader().loadAsync("/file.glb");
const scene = new THREE.Scene();
scene.add(file.scene);
const mixer = new THREE.AnimationMixer(file.scene);
const actions = file.animations.map((clip) => mixer.clipAction(clip).setLoop(THREE.LoopOnce));
for (const action of actions) action.clampWhenFinished = true;
const renderer = new THREE.WebGLRenderer({ alpha: true, preserveDrawingBuffer: true });
renderer.setClearColor(0, 0);
const camera = new THREE.Camera();
camera.matrixAutoUpdate = false;
window.draw = (seconds, world, projection, width, height) => {
  renderer.setSize(width, height);
  for (const action of actions) action.reset().play();
  mixer.setTime(seconds);
  camera.matrix.fromArray(world);
  camera.updateMatrixWorld(true);
  camera.projectionMatrix.fromArray(projection);
  camera.projectionMatrixInverse.copy(camera.projectionMatrix).invert();
  scene.traverse((part) => { part.frustumCulled = false; });
  renderer.render(scene, camera);
  return renderer.domElement.toDataURL("image/png");
};
window.about = { clips: file.animations.map((clip) => [clip.name, clip.duration]), joints: [] };
file.scene.traverse((part) => { if (part.isBone) window.about.joints.push(part.name); });
window.isReady = true;
</script>"""


class ThreePage:
    """An open file."""

    def __init__(self, page) -> None:
        self._page = page
        self.about = page.evaluate("window.about")

    def draw(self, seconds: float, camera: Camera) -> np.ndarray:
        """What our camera sees at that time of the animation: RGBA bytes."""
        to_y_up = torch.eye(4)
        to_y_up[:3, :3] = torch.tensor(Y_UP_FROM_WORLD)
        flip = torch.diag(torch.tensor([1.0, -1.0, -1.0, 1.0]))
        world = to_y_up @ camera.camera_from_world.inverse() @ flip
        columns = [matrix.mT.flatten().tolist() for matrix in (world, projection(camera))]
        url = self._page.evaluate("([...all]) => window.draw(...all)", [seconds, *columns, camera.width, camera.height])
        content = self._page.evaluate("async (url) => [...new Uint8Array(await (await fetch(url)).arrayBuffer())]", url)
        picture = cv2.imdecode(np.array(content, np.uint8), cv2.IMREAD_UNCHANGED)
        assert picture is not None
        return cv2.cvtColor(picture, cv2.COLOR_BGRA2RGBA)


def projection(camera: Camera, near: float = 0.05, far: float = 100.0) -> torch.Tensor:
    """The pinhole camera as OpenGL wants it."""
    (fx, _, cx), (_, fy, cy), _ = camera.intrinsics_px.tolist()
    return torch.tensor(
        [
            [2 * fx / camera.width, 0, 1 - 2 * cx / camera.width, 0],
            [0, 2 * fy / camera.height, 2 * cy / camera.height - 1, 0],
            [0, 0, (far + near) / (near - far), 2 * far * near / (near - far)],
            [0, 0, -1, 0],
        ]
    )


@contextmanager
def opened(path: Path) -> Iterator[ThreePage]:
    """The file in three.js; skips without three.js, Playwright or Chromium."""
    three = NODE_MODULES / "three"
    if not three.is_dir():
        pytest.skip("three.js is not installed: run `make node-tools`")

    def answer(route) -> None:
        place = route.request.url.removeprefix(ORIGIN)
        if place == "/":
            route.fulfill(body=PAGE, content_type="text/html")
        elif place == "/file.glb":
            route.fulfill(body=path.read_bytes(), content_type="model/gltf-binary")
        elif place.startswith("/three/"):
            route.fulfill(path=three / place.removeprefix("/three/"), content_type="text/javascript")
        else:
            route.abort()

    with ExitStack() as stack:
        try:
            browser = stack.enter_context(chromium())
        except ImportError as error:
            pytest.skip(str(error))
        page = browser.new_page()
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.route("**/*", answer)
        page.goto(ORIGIN)
        page.wait_for_function("window.isReady", timeout=30_000)
        assert not errors, errors[0]
        yield ThreePage(page)
