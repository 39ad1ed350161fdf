"""The sample capture that comes with the project: it reads, it is small, and it shows the body that it says."""

from pathlib import Path

import pytest
import torch

from avatar.body import load_body
from avatar.captures import open_capture
from avatar.engine import rasterize_mesh
from avatar.geometry import matrices_from_quats, project, transform_points
from avatar.motion import read_clip
from avatar.structs import Capture, Skeleton
from tools.dancer.film import NUM_FRAMES, SPLITS, film
from tools.dancer.jumping_jacks import jumping_jacks

SAMPLE = Path(__file__).resolve().parents[1] / "data" / "samples" / "dancer"
VIEWS = [(0, 0), (5, 3), (9, 6), (13, 1), (18, 5), (23, 2)]


@pytest.fixture(scope="module")
def sample() -> Capture:
    return open_capture(SAMPLE, "all")


def test_it_is_small_and_holds_no_pickle():
    files = [path for path in SAMPLE.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} == {".jpg", ".png", ".json", ".npz"}
    assert sum(path.stat().st_size for path in files) <= 6e6


def test_it_has_its_splits(sample: Capture):
    assert sample.num_frames == NUM_FRAMES
    found = {name: (split.frame_ids, split.camera_ids) for name, split in sample.splits.items()}
    assert found == {name: (tuple(frames), tuple(cameras)) for name, (frames, cameras) in SPLITS.items()}


def test_tests_are_quick_and_were_not_trained_on(sample: Capture):
    train, new_views, new_poses = (set(sample.split(f"{name}").pairs()) for name in list(SPLITS)[:3])
    assert train.isdisjoint(new_views | new_poses)
    assert len(new_views | new_poses) <= 45


@pytest.mark.parametrize(("frame_id", "camera_id"), VIEWS)
def test_the_body_lies_inside_the_mask(sample: Capture, frame_id: int, camera_id: int):
    frame = sample.load_frame(frame_id, camera_id, False)
    body = load_body(sample.rig)(sample.shape, sample.pose(frame_id))
    points_camera = transform_points(frame.camera.camera_from_world, body.vertices_world)
    raster = rasterize_mesh(
        *project(points_camera, frame.camera.intrinsics_px), body.rest.faces, frame.camera.height, frame.camera.width
    )
    is_body = raster.triangles >= 0
    assert float(frame.is_foreground[is_body].float().mean()) > 0.97
    assert float(is_body[frame.is_foreground].float().mean()) > 0.75  # and clothes add little to it
    edge = torch.cat([frame.is_foreground[[0, -1]].flatten(), frame.is_foreground[:, [0, -1]].flatten()])
    assert not bool(edge.any())


def test_it_is_what_its_script_makes(sample: Capture):
    """Up to compression, and to other processors' rounding."""
    made = film(450, 400, 4)
    torch.testing.assert_close(sample.poses.local_quats, made.poses.local_quats, atol=1e-5, rtol=0)
    torch.testing.assert_close(sample.poses.root_position_world, made.poses.root_position_world, atol=1e-5, rtol=0)
    ours, theirs = sample.load_frame(13, 6, False), made.load_frame(13, 6, False)
    assert float((ours.is_foreground == theirs.is_foreground).float().mean()) > 0.9995
    difference = (ours.image - theirs.image)[ours.is_foreground & theirs.is_foreground]
    assert float(difference.square().mean()) < 1e-3


def test_the_shoes_stand_on_the_floor_and_the_dancer_moves(sample: Capture):
    person = load_body(sample.rig).shaped(sample.shape)
    vertices = torch.stack([person.posed(sample.pose(frame)).vertices_world for frame in range(NUM_FRAMES)])
    lowest = vertices[..., 2].amin(1)
    assert bool(((lowest > 0) & (lowest < 0.03)).all())
    steps = (vertices[1:] - vertices[:-1]).norm(dim=-1).amax(1)
    assert bool(((steps > 0.03) & (steps < 0.35)).all())


def test_the_motion_is_what_its_script_makes():
    found, made = read_clip(SAMPLE.with_name("jumping_jacks.bvh")), jumping_jacks()
    assert found.skeleton.joint_names == read_names(made.skeleton)
    torch.testing.assert_close(found.root_position_world, made.root_position_world, atol=1e-5, rtol=0)
    rows = [made.skeleton.joint_names.index(name) for name in found.skeleton.joint_names]
    turns = [matrices_from_quats(quats) for quats in (found.local_quats, made.local_quats[:, rows])]
    torch.testing.assert_close(*turns, atol=1e-5, rtol=0)


def read_names(skeleton: Skeleton) -> tuple[str, ...]:
    """In the order of the file, in which children stand below their parents."""

    def below(joint: int) -> list[str]:
        children = [child for child, parent in enumerate(skeleton.parents) if parent == joint]
        return [skeleton.joint_names[joint], *(name for child in children for name in below(child))]

    return tuple(below(0))
