"""The surface of a radiance field through the command line."""

from collections.abc import Callable
from pathlib import Path

import pytest
import trimesh

from avatar.body import load_body
from avatar.canonical import FieldConfig
from avatar.checkpoint import save_avatar
from avatar.engine import HashGrid
from avatar.model import FieldAvatar, FieldAvatarConfig
from avatar.structs import Pose

Command = Callable[..., int]


@pytest.fixture(scope="module")
def field(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A field that has learnt nothing: a ball, as far as the band around the body reaches."""
    body = load_body()
    rest = body.shaped(body.default_shape()).rest_pose()
    poses = Pose(local_quats=rest.local_quats[None], root_position_world=rest.root_position_world[None])
    small = FieldAvatarConfig(canonical=FieldConfig(grid=HashGrid(num_levels=2, log2_table_size=10), hidden=8))
    avatar = FieldAvatar(shape=body.default_shape(), poses=poses, frame_ids=(0,), config=small)
    folder = tmp_path_factory.mktemp("field")
    save_avatar(avatar, folder)
    return folder


def test_a_field_is_exported_as_a_closed_mesh(command: Command, field: Path, tmp_path: Path):
    words = ["export", "--run", field, "--format", "obj", "--out", tmp_path / "a.obj"]
    assert command(*words, "--cell-m", 0.03) == 0
    mesh = trimesh.load_mesh(tmp_path / "a.obj", process=False)
    assert mesh.is_watertight
    assert mesh.volume > 0
    assert mesh.visual is not None
    assert mesh.visual.kind == "vertex"


def test_what_does_not_fit_is_refused(
    command: Command, field: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    assert command("export", "--run", field, "--out", tmp_path / "a.ply") == 2
    assert "expected Gaussians, found a radiance field" in capsys.readouterr().err
    assert command("export", "--run", field, "--format", "obj", "--out", tmp_path / "a.obj", "--cell-m", 0) == 2
    assert "--cell-m: expected 0.003 or more, got 0.0" in capsys.readouterr().err
