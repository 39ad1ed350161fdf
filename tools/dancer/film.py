"""The dancer in front of eight cameras, as a capture."""

from functools import lru_cache
from math import cos, pi, sin

import torch

from avatar.body import load_body
from avatar.geometry import look_at
from avatar.structs import Camera, Capture, Frame, Shape, Split

from .motion import dance
from .studio import Studio

SHAPE = {"gender": 1.0, "age": 0.667, "muscle": 0.6, "weight": 0.42, "height": 0.45, "proportions": 0.7}
FRAME_RATE_HZ = 8.0
NUM_FRAMES = 24
LAG_SECONDS = 0.1
"""How far behind the body the loosest cloth moves."""

RADIUS_M = 3.0
CAMERA_HEIGHTS_M = (1.1, 1.7, 0.8, 1.4, 1.0, 1.9, 1.2, 0.7)
SEEN_M = 2.15
"""Height of what a camera sees at the dancer."""

_OLD_CAMERAS, _NEW_CAMERAS = (0, 1, 3, 4, 5, 7), (2, 6)
SPLITS = {
    "train": (range(20), _OLD_CAMERAS),
    "test_novel_view": (range(2, 20, 4), _NEW_CAMERAS),
    "test_novel_pose": (range(20, 24), range(8)),
    "all": (range(24), range(8)),
}
"""Frames and cameras by split."""


def camera(index: int, height: int, width: int) -> Camera:
    """One of a ring of eight around the dancer; the first stands in front."""
    angle = index * pi / 4 - pi / 2
    eye = torch.tensor([RADIUS_M * cos(angle), RADIUS_M * sin(angle), CAMERA_HEIGHTS_M[index]])
    focal_px = height * RADIUS_M / SEEN_M
    return Camera(
        name=f"camera_{index}",
        camera_from_world=look_at(eye, torch.tensor([0.0, 0.0, 0.90]), torch.tensor([0.0, 0.0, 1.0])),
        intrinsics_px=torch.tensor([[focal_px, 0.0, width / 2], [0.0, focal_px, height / 2], [0.0, 0.0, 1.0]]),
        height=height,
        width=width,
    )


def film(height: int, width: int, oversampling: int) -> Capture:
    """The capture; its pictures, ``height`` x ``width``, are made when asked for."""
    model = load_body()
    shape = Shape(names=model.shape_names, values=torch.tensor([SHAPE[name] for name in model.shape_names]))
    person = model.shaped(shape)
    studio = Studio(model, person)
    times = torch.arange(NUM_FRAMES) / FRAME_RATE_HZ
    poses, before = dance(person, times), dance(person, times - LAG_SECONDS)
    cameras = tuple(camera(index, height, width) for index in range(len(CAMERA_HEIGHTS_M)))
    figure = lru_cache(maxsize=1)(lambda frame_id: studio.figure(poses[frame_id], before[frame_id]))

    def load_frame(frame_id: int, camera_id: int, cropped: bool) -> Frame:
        assert not cropped, "pictures are made whole"
        image, coverage = studio.picture(figure(frame_id), cameras[camera_id], oversampling)
        return Frame(
            camera=cameras[camera_id],
            image=image,
            is_foreground=coverage >= 0.5,
            pose=poses[frame_id],
            frame_id=frame_id,
            camera_id=camera_id,
        )

    return Capture(
        name="dancer",
        cameras=cameras,
        poses=poses,
        shape=shape,
        splits={
            name: Split(name=name, frame_ids=tuple(frames), camera_ids=tuple(cameras_of))
            for name, (frames, cameras_of) in SPLITS.items()
        },
        frame_rate_hz=FRAME_RATE_HZ,
        load_frame=load_frame,
    )
