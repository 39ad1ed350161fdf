"""A person of Anny before several cameras, with landmarks as a network finds them, for tests that know the truth."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from avatar.prepare import Observations, triangulate
from avatar.prepare.body_fit.estimate import Estimate, Template
from avatar.render import view_mesh
from avatar.structs import Camera

from ..rig import ring, seen

FRAMES = 5
SHAPE = {"gender": 0.1, "age": 0.6, "muscle": 0.6, "weight": 0.6, "height": 0.6, "proportions": 0.6}
# Joint and axis (left, back, up): turns in radians in the first and in the last frame.
MOTION = {
    ("upperarm01.L", 1): (0.4, -0.6),
    ("upperarm01.R", 1): (0.5, 0.8),
    ("upperarm01.R", 0): (0.0, -0.8),
    ("upperleg01.L", 0): (0.0, -0.7),
    ("lowerleg01.L", 0): (0.1, 0.9),
    ("upperleg01.R", 0): (0.1, -0.1),
    ("spine03", 2): (0.0, 0.2),
    ("neck02", 2): (-0.1, 0.2),
}


@dataclass(frozen=True, kw_only=True, eq=False)
class Scene:
    """The truth, and what is seen of it."""

    template: Template
    truth: Estimate
    observations: Observations

    def vertices(self) -> Tensor:
        """Of all frames."""
        shaped, poses = (
            self.template.body.shaped(self.template.shape(self.truth.shape)),
            self.template.poses(self.truth),
        )
        return torch.stack([shaped.posed(poses[frame]).vertices_world for frame in range(len(self.truth))])


def scene(num_cameras: int = 4) -> Scene:
    """A person who turns about and lifts a leg, before cameras of 480 x 640."""
    template = Template.load(300)
    truth, cameras = _truth(template), ring(num_cameras, focal_px=600.0)
    generator = torch.Generator().manual_seed(1)
    offsets = 0.015 * torch.randn(33, 3, generator=generator)
    markers = template.posed(replace(truth, offsets=offsets)).markers.double()
    points = seen(cameras, markers)
    points += 2.0 * torch.randn(points.shape, generator=generator, dtype=torch.float64)
    outliers = torch.rand(points.shape[:3], generator=generator) < 0.04
    points[outliers] += 60.0
    confidences = torch.full(points.shape[:3], 0.9, dtype=torch.float64)
    made = triangulate(cameras, points, confidences)
    masks = _masks(template, truth, cameras)
    observations = Observations(
        cameras=tuple(cameras),
        frame_rate_hz=10.0,
        points_px=points,
        confidences=confidences,
        points_world=made.points_world,
        point_confidences=made.confidences,
        guesses_m=torch.full((*points.shape[:3], 3), torch.nan),
        load_mask=lambda frame, camera: masks[frame, camera],
    )
    return Scene(template=template, truth=truth, observations=observations)


def _truth(template: Template) -> Estimate:
    names = [template.body.joint_names[joint] for joint in template.freedoms.joints.tolist()]
    turns = torch.zeros(FRAMES, len(names), 3)
    for (name, axis), (first, last) in MOTION.items():
        turns[:, names.index(name), axis] = torch.linspace(first, last, FRAMES)
    heading = torch.linspace(2.0, 2.8, FRAMES)
    zeros = torch.zeros(FRAMES)
    return Estimate(
        shape=torch.tensor([SHAPE[name] for name in template.body.shape_names]),
        offsets=torch.zeros(33, 3),
        root_quats=torch.stack([(heading / 2).cos(), zeros, zeros, (heading / 2).sin()], dim=1),
        root_positions=torch.stack([0.1 * heading.cos(), zeros, zeros + 0.95], dim=1),
        turns=turns,
    )


def _masks(template: Template, truth: Estimate, cameras: list[Camera]) -> dict[tuple[int, int], np.ndarray]:
    shaped, poses = template.body.shaped(template.shape(truth.shape)), template.poses(truth)
    masks = {}
    for frame in range(len(truth)):
        vertices = shaped.posed(poses[frame]).vertices_world
        for row, camera in enumerate(cameras):
            masks[frame, row] = (view_mesh(vertices, shaped.rig.faces, camera).raster.triangles >= 0).numpy()
    return masks
