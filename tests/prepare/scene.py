"""A small rendered rig: a person of landmarks before a patterned wall, filmed by calibrated cameras with lenses."""

from dataclasses import dataclass, field
from pathlib import Path

import av
import cv2
import numpy as np
import torch
from jaxtyping import Float, UInt8
from numpy import ndarray

from avatar.body import load_body
from avatar.geometry import look_at
from avatar.prepare import FittedBody, LandmarkConfig, Landmarker, Observations, Person, Region
from avatar.prepare.skeleton import NAMES
from avatar.structs import Pose

HEIGHT, WIDTH, FOCAL_PX = 144, 128, 150.0
BLOCK = 16  # pixels of the two patches, top left, that say camera and frame
# Places of one side, metres: beside the middle, forward, up.
SIDE = {
    **{"eye_inner": (0.02, -0.1, 1.64), "eye": (0.035, -0.09, 1.64), "eye_outer": (0.05, -0.08, 1.64)},
    **{"ear": (0.08, 0.0, 1.62), "mouth": (0.03, -0.1, 1.56), "shoulder": (0.18, 0.0, 1.42)},
    **{"elbow": (0.3, 0.02, 1.16), "wrist": (0.36, -0.06, 0.94), "pinky": (0.39, -0.06, 0.86)},
    **{"index": (0.36, -0.1, 0.85), "thumb": (0.34, -0.1, 0.9), "hip": (0.1, 0.0, 0.92)},
    **{"knee": (0.11, -0.02, 0.5), "ankle": (0.11, 0.03, 0.09), "heel": (0.11, 0.08, 0.03)},
    **{"foot_index": (0.12, -0.14, 0.03)},
}
HAND = ("wrist", "pinky", "index", "thumb")


def person(times_s: Float[ndarray, " f"]) -> Float[ndarray, "f 33 3"]:
    """Landmarks of somebody who sways, jumps a little and swings the arms, world metres, feet near z = 0.03."""
    rest = np.zeros((33, 3))
    for i, name in enumerate(NAMES):
        part = name.removeprefix("left_").removeprefix("right_").removesuffix("_left").removesuffix("_right")
        sign = -1 if "right" in name else 1
        rest[i] = (0, -0.12, 1.6) if name == "nose" else np.multiply(SIDE[part], (sign, 1, 1))
    points = np.repeat(rest[None], len(times_s), axis=0)
    up = np.abs(np.sin(4.1 * times_s) + 0.6 * np.sin(9.7 * times_s))
    points[..., 0] += 0.15 * np.sin(3 * times_s)[:, None]
    points[..., 2] += 0.12 * up[:, None]
    arms = [i for i, name in enumerate(NAMES) if name.split("_")[-1] in HAND and "foot" not in name]
    points[:, arms, 2] += 0.3 * np.sin(6.3 * times_s + 1)[:, None]
    return points


@dataclass(frozen=True, kw_only=True)
class Scene:
    """Cameras on a part of a ring, and the person in time.

    Attributes:
        cameras: how many.
        frames: of each video, at most 15.
        rate_hz: of the videos.
        lens: OpenCV's five coefficients.
        late_s: how much later than the first each camera starts, or nothing.
        absent: frames without anybody, by camera.
    """

    cameras: int = 3
    frames: int = 8
    rate_hz: float = 10.0
    lens: tuple[float, ...] = (-0.1, 0.05, 0.001, -0.001, 0.0)
    late_s: tuple[float, ...] = ()
    absent: dict[int, tuple[int, ...]] = field(default_factory=dict)

    def name(self, camera: int) -> str:
        """Of a camera and its video."""
        return f"cam{camera + 1:02d}"

    @property
    def camera_from_world(self) -> Float[ndarray, "c 4 4"]:
        """Where the cameras are."""
        angles = np.linspace(0, 1.6, self.cameras) - 1.6
        middle, up = torch.tensor([0.0, 0.0, 0.9]), torch.tensor([0.0, 0.0, 1.0])
        eyes = [torch.tensor([3 * np.cos(a), 3 * np.sin(a), 1.2]).float() for a in angles]
        return np.stack([look_at(eye, middle, up).numpy() for eye in eyes]).astype(np.float64)

    @property
    def intrinsics_px(self) -> Float[ndarray, "3 3"]:
        """Pixel centres at integers, as OpenCV has them."""
        return np.array([[FOCAL_PX, 0, WIDTH / 2 - 0.5], [0, FOCAL_PX, HEIGHT / 2 - 0.5], [0, 0, 1]])

    def times_s(self, camera: int) -> Float[ndarray, " f"]:
        """When each frame is taken."""
        return np.arange(self.frames) / self.rate_hz + (self.late_s[camera] if self.late_s else 0.0)

    def pixels(self, camera: int) -> Float[ndarray, "f 33 2"]:
        """Where the camera's frames show the landmarks; pixel centres at .5."""
        points = person(self.times_s(camera)).reshape(-1, 3)
        transform = self.camera_from_world[camera]
        turn = cv2.Rodrigues(transform[:3, :3])[0]
        found, _ = cv2.projectPoints(points, turn, transform[:3, 3], self.intrinsics_px, np.array(self.lens))
        return found.reshape(-1, 33, 2) + 0.5

    def outline(self, pixels: Float[ndarray, "33 2"]) -> UInt8[ndarray, "h w"]:
        """The person's true mask, 0 and 255: all around the landmarks."""
        mask = np.zeros((HEIGHT, WIDTH), np.uint8)
        cv2.fillConvexPoly(mask, cv2.convexHull(pixels.round().astype(np.int32)), 255)
        return cv2.dilate(mask, np.ones((3, 3), np.uint8))

    def picture(self, camera: int, frame: int) -> UInt8[ndarray, "h w 3"]:
        """What the camera sees."""
        rows, columns = np.mgrid[:HEIGHT, :WIDTH]
        wall = 60 + 40 * ((rows // 8 + columns // 8) % 2) + 10 * camera
        picture = np.repeat(wall[..., None], 3, axis=2).astype(np.uint8)
        if frame not in self.absent.get(camera, ()):
            picture[self.outline(self.pixels(camera)[frame]) > 0] = (220, 120, 40)
        picture[:BLOCK, :BLOCK], picture[:BLOCK, BLOCK : 2 * BLOCK] = 16 * camera + 8, 16 * frame + 8
        return picture

    def write_pictures(self, folder: Path) -> Path:
        """A folder of pictures for each camera."""
        for camera in range(self.cameras):
            (folder / self.name(camera)).mkdir(parents=True)
            for frame in range(self.frames):
                picture = cv2.cvtColor(self.picture(camera, frame), cv2.COLOR_RGB2BGR)
                cv2.imwrite(str(folder / self.name(camera) / f"{frame:04d}.png"), picture)
        return folder

    def write_videos(self, folder: Path) -> Path:
        """A video for each camera."""
        folder.mkdir(parents=True)
        for camera in range(self.cameras):
            with av.open(str(folder / f"{self.name(camera)}.mp4"), "w") as container:
                stream = container.add_stream("libx264", round(self.rate_hz), {"crf": "1"})
                stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
                for frame in range(self.frames):
                    picture = av.VideoFrame.from_ndarray(self.picture(camera, frame), "rgb24")
                    container.mux(stream.encode(picture))
                container.mux(stream.encode())
        return folder

    def write_calibration(self, path: Path, scale: float = 1.0, size: tuple[int, int] = (WIDTH, HEIGHT)) -> Path:
        """In Pose2Sim's TOML, translations times ``scale``."""
        tables = []
        for camera, transform in enumerate(self.camera_from_world):
            turn, move = cv2.Rodrigues(transform[:3, :3])[0].ravel().tolist(), (scale * transform[:3, 3]).tolist()
            tables.append(
                f'[{self.name(camera)}]\nname = "{self.name(camera)}"\nsize = {list(map(float, size))}\n'
                f"matrix = {self.intrinsics_px.tolist()}\ndistortions = {list(self.lens)}\n"
                f"rotation = {turn}\ntranslation = {move}\n"
            )
        path.write_text("\n".join(tables))
        return path


class Knowing(Landmarker):
    """A landmarker that knows the scene and reads in a picture's patches which it is. Remembers ``looks``."""

    def __init__(self, scene: Scene) -> None:
        self.config, self.scene = LandmarkConfig(), scene
        self.looks: set[tuple[int, int]] = set()
        self._pixels = [scene.pixels(camera) for camera in range(scene.cameras)]

    def detect(self, picture: np.ndarray) -> list[Region]:
        """The person, if there."""
        camera, frame = self._which(picture)
        return [] if frame in self.scene.absent.get(camera, ()) else [self._region(camera, frame)]

    def landmarks(self, picture: np.ndarray, region: Region) -> Person:
        """What is true."""
        camera, frame = self._which(picture)
        self.looks.add((camera, frame))
        pixels, here = self._pixels[camera][frame], self._region(camera, frame)
        mask = np.repeat(self.scene.outline(pixels)[..., None], 3, axis=2)
        return Person(
            points_px=pixels,
            visibilities=np.full(33, 0.9),
            presences=np.ones(33),
            points_m=self._guess(camera, frame),
            score=0.0 if frame in self.scene.absent.get(camera, ()) else 1.0,
            region=here,
            next_region=here,
            soft_mask=here.crop(mask, 256)[..., 0],
        )

    def _guess(self, camera: int, frame: int) -> Float[ndarray, "33 3"]:
        transform = self.scene.camera_from_world[camera]
        places = person(self.scene.times_s(camera))[frame] @ transform[:3, :3].T
        return places - places[[NAMES.index("left_hip"), NAMES.index("right_hip")]].mean(axis=0)

    def _region(self, camera: int, frame: int) -> Region:
        low, high = self._pixels[camera][frame].min(axis=0), self._pixels[camera][frame].max(axis=0)
        centre = (low + high) / 2
        return Region(
            centre_px=(float(centre[0]), float(centre[1])), size_px=float((high - low).max() * 1.3), rotation_rad=0.0
        )

    def _which(self, picture: np.ndarray) -> tuple[int, int]:
        return int(picture[4:12, 4:12].mean() // 16), int(picture[4:12, BLOCK + 4 : BLOCK + 12].mean() // 16)


def standing(observations: Observations, told: object) -> FittedBody:
    """A body of the default shape, at rest, whose root is between the hips."""
    del told
    body = load_body()
    rest = body.rest_pose()
    hips = observations.points_world[:, [NAMES.index("left_hip"), NAMES.index("right_hip")]].mean(dim=1).float()
    count, cameras = observations.num_frames, len(observations.cameras)
    return FittedBody(
        rig="anny",
        shape=body.default_shape(),
        poses=Pose(local_quats=rest.local_quats.expand(count, -1, -1), root_position_world=hips.nan_to_num(0.0)),
        residuals_px=torch.zeros(count, cameras, 33),
        overlaps=torch.ones(count, cameras),
    )
