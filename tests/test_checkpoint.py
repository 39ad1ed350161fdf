"""Avatars through their folders: the same bits back, and damage named in one line."""

import json
import os
from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from avatar.body import load_body
from avatar.canonical import HybridConfig
from avatar.canonical.hybrid import PER_GAUSSIAN
from avatar.checkpoint import (
    from_json,
    load_hybrid,
    load_tensors,
    newest_checkpoint,
    save_avatar,
    save_tensors,
    to_json,
    write_checkpoint,
)
from avatar.deform import (
    Blended,
    CorrectivesConfig,
    DeformConfig,
    DualQuaternion,
    LearnedMix,
    LightFieldConfig,
    Linear,
    RefineConfig,
)
from avatar.geometry import look_at, quats_from_axis_angles
from avatar.losses import LossConfig
from avatar.model import HybridAvatar, HybridAvatarConfig
from avatar.render import RenderConfig, render
from avatar.structs import Camera, Pose, Shape
from avatar.train import AdaptConfig, HybridFitConfig, LearningRates, RefineRates, Schedule

FULL = HybridAvatarConfig(
    canonical=HybridConfig(num_gaussians=300, sh_degree=1, relative_size=1 / 3),
    deform=DeformConfig(
        skinning=LearnedMix(initial_dqs_fraction=0.3),
        covariance="jacobian",
        correctives=CorrectivesConfig(num_modes=2, num_control_points=20),
        light=LightFieldConfig(hidden=3, sees_directions=False),
    ),
    refine=RefineConfig(poses=True, joints=True, cameras=True, exposure=True),
)
BARE = HybridAvatarConfig(
    canonical=HybridConfig(num_gaussians=30, shape="disc"),
    deform=DeformConfig(correctives=CorrectivesConfig(num_modes=0)),
)


def shaken(config: HybridAvatarConfig = FULL, rig: str = "anny") -> HybridAvatar:
    """An avatar whose every number is random, with fewer Gaussians than it started with."""
    generator = torch.Generator().manual_seed(0)
    model = load_body(rig)
    values = model.default_shape().values + 0.1 * torch.randn(6, generator=generator)
    poses = Pose(
        local_quats=quats_from_axis_angles(0.2 * torch.randn(3, len(model.parents), 3, generator=generator)),
        root_position_world=torch.randn(3, 3, generator=generator),
    )
    shape = Shape(names=model.shape_names, values=values)
    avatar = HybridAvatar(shape=shape, poses=poses, frame_ids=(9, 2, 4), config=config, rig=rig, cameras=("b", "a"))
    avatar.canonical.replace_rows({name: getattr(avatar.canonical, name)[3:] for name in PER_GAUSSIAN})
    avatar.canonical.shell = 0.01 * torch.randn(avatar.canonical.shell.shape, generator=generator)
    with torch.no_grad():
        for parameter in avatar.parameters():
            parameter += 0.01 * torch.randn(parameter.shape, generator=generator)
    return avatar


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """A small avatar's folder."""
    save_avatar(shaken(BARE), tmp_path)
    return tmp_path


@pytest.mark.parametrize(("config", "rig"), [(FULL, "anny"), (FULL, "cmu_mb"), (BARE, "anny")])
def test_everything_comes_back_bit_for_bit(config: HybridAvatarConfig, rig: str, tmp_path: Path) -> None:
    avatar = shaken(config, rig)
    save_avatar(avatar, tmp_path)
    loaded = load_hybrid(tmp_path)
    assert loaded.config == config
    assert (loaded.rig, loaded.frame_ids, loaded.shape.names) == (rig, (9, 2, 4), avatar.shape.names)
    assert torch.equal(loaded.shape.values, avatar.shape.values)
    assert torch.equal(loaded.poses.local_quats, avatar.poses.local_quats)
    assert torch.equal(loaded.poses.root_position_world, avatar.poses.root_position_world)
    ours, theirs = avatar.state_dict(), loaded.state_dict()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


@torch.no_grad()
@pytest.mark.parametrize("frame_id", [2, None])
def test_a_loaded_avatar_gives_the_identical_picture(frame_id: int | None, tmp_path: Path) -> None:
    avatar = shaken()
    save_avatar(avatar, tmp_path)
    pose = replace(avatar.poses[1], frame_id=frame_id)
    target = pose.root_position_world
    camera = Camera(
        camera_from_world=look_at(target + torch.tensor([0.0, -3.0, 0.0]), target, torch.tensor([0.0, 0.0, 1.0])),
        intrinsics_px=torch.tensor([[100.0, 0, 32], [0, 100.0, 32], [0, 0, 1]]),
        height=64,
        width=64,
    )
    one, other = (render(person.posed(pose), camera) for person in (avatar, load_hybrid(tmp_path)))
    assert float(one.alpha.mean()) > 0.02
    assert torch.equal(one.color, other.color)
    assert torch.equal(one.alpha, other.alpha)


def test_a_second_save_is_the_same_file(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    save_avatar(shaken(), tmp_path / "one")
    save_avatar(load_hybrid(tmp_path / "one"), tmp_path / "two")
    for name in ("config.json", "avatar.safetensors"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


CONFIGS = [
    FULL,
    BARE,
    HybridAvatarConfig(),
    HybridConfig(relative_size=0.1 + 0.2),
    CorrectivesConfig(feature_limit=1e-30),
    DeformConfig(skinning=Linear()),
    DeformConfig(skinning=DualQuaternion()),
    DeformConfig(skinning=Blended(dqs_fraction=1.0)),
    LossConfig(mask=0.0),
    RenderConfig(background=(0.0, 0.5, 1.0), backend="torch", depth=True),
    AdaptConfig(rounds=0),
    LearningRates(refine=RefineRates(poses=0.0)),
    Schedule(knots=((0.0, 1.0), (0.3, 1e-9), (1.0, 2.0))),
    HybridFitConfig(avatar=FULL, seed=3),
]


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: type(config).__name__)
def test_configs_survive_json(config: Any) -> None:
    assert from_json(type(config), json.loads(json.dumps(to_json(config)))) == config


def test_every_kind_of_config_is_tried() -> None:
    def kinds(value: Any) -> set[str]:
        inside = [kinds(getattr(value, field.name)) for field in fields(value)] if is_dataclass(value) else []
        return {type(value).__name__}.union(*inside)

    expected = {
        "Linear",
        "DualQuaternion",
        "Blended",
        "LearnedMix",
        "Schedule",
        "LearningRates",
        "AdaptConfig",
        "RenderConfig",
    }
    assert expected <= set().union(*map(kinds, CONFIGS))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (3, "expected a HybridConfig, got 3"),
        ({"num_gaussians": 3}, "expected a HybridConfig, got None"),
        ({"kind": "HybridAvatarConfig"}, "expected a HybridConfig, got 'HybridAvatarConfig'"),
        ({"kind": "HybridConfig", "colour": 1, "a": 2}, "HybridConfig has no field a, colour"),
        ({"kind": "HybridConfig", "num_gaussians": "many"}, "HybridConfig.num_gaussians: expected .*, got 'many'"),
        ({"kind": "HybridConfig", "num_gaussians": 2.5}, "HybridConfig.num_gaussians: expected .*, got 2.5"),
        ({"kind": "HybridConfig", "num_gaussians": True}, "HybridConfig.num_gaussians: expected .*, got True"),
        ({"kind": "HybridConfig", "num_gaussians": 0}, "HybridConfig.num_gaussians: expected at least 1, got 0"),
        ({"kind": "HybridConfig", "relative_size": [1.0]}, r"HybridConfig.relative_size: expected .*, got \[1.0\]"),
        ({"kind": "HybridConfig", "relative_size": {}}, "HybridConfig.relative_size: expected .*, got None"),
    ],
)
def test_what_is_no_config_is_named(data: Any, reason: str) -> None:
    with pytest.raises(ValueError, match=f"config.json: {reason}" if "at least" not in reason else reason):
        from_json(HybridConfig, data)


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        (DeformConfig, {"skinning": {"kind": "Spline"}}),
        (DeformConfig, {"skinning": "Linear"}),
        (DeformConfig, {"skinning": {"kind": "Blended", "dqs_fraction": 2.0}}),
        (HybridAvatarConfig, {"canonical": None}),
        (RefineConfig, {"poses": 1}),
        (RenderConfig, {"backend": "vulkan"}),
        (RenderConfig, {"background": [0.0, 0.0]}),
        (Schedule, {"knots": [[0.0, "fast"]]}),
    ],
)
def test_choices_are_checked(kind: type, data: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"config\.json: .*expected|dqs_fraction|zip"):
        from_json(kind, {"kind": kind.__name__, **data})


def edit(path: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    """Change a JSON file in place; what ``change`` returns counts, if anything."""
    description = json.loads(path.read_text())
    changed = change(description)
    path.write_text(json.dumps(description if changed is None else changed))


CONFIG_DAMAGE: dict[str, Callable[[Path], Any]] = {
    "empty": lambda path: path.write_text(""),
    "truncated": lambda path: path.write_bytes(path.read_bytes()[:-20]),
    "not text": lambda path: path.write_bytes(b"\xff\xfe\x00"),
    "endless nesting": lambda path: path.write_text("[" * 100_000),
    "a list": lambda path: path.write_text("[]"),
    "a number": lambda path: path.write_text("7"),
    "another format": lambda path: edit(path, lambda d: d.update(format="avatar 99")),
    "no format": lambda path: edit(path, lambda d: d.pop("format") and None),
    "no config": lambda path: edit(path, lambda d: d.pop("config") and None),
    "unknown field": lambda path: edit(path, lambda d: d["config"].update(hair=True)),
    "unknown kind": lambda path: edit(path, lambda d: d["config"]["deform"].update(skinning={"kind": "os.system"})),
    "NaN": lambda path: edit(path, lambda d: d["config"]["canonical"].update(relative_size=float("nan"))),
    "infinite": lambda path: path.write_text(path.read_text().replace("0.0005", "1e999")),
    "no float": lambda path: path.write_text(path.read_text().replace("0.0005", "1" + "0" * 400)),
    "text for a number": lambda path: edit(path, lambda d: d["config"]["canonical"].update(sh_degree="2")),
    "number out of range": lambda path: edit(path, lambda d: d["config"]["canonical"].update(sh_degree=7)),
    "NaN shape": lambda path: edit(path, lambda d: d["shape"].update(height=float("nan"))),
    "shape of text": lambda path: edit(path, lambda d: d["shape"].update(height="tall")),
    "shape a list": lambda path: edit(path, lambda d: d.update(shape=[0.5])),
    "frames not numbers": lambda path: edit(path, lambda d: d.update(frame_ids=["a", None, {}])),
    "no frames": lambda path: edit(path, lambda d: d.update(frame_ids=None)),
}


@pytest.mark.parametrize("damage", CONFIG_DAMAGE)
def test_damaged_configs_are_named(damage: str, saved: Path) -> None:
    CONFIG_DAMAGE[damage](saved / "config.json")
    with pytest.raises(ValueError, match="not an avatar's config") as caught:
        load_hybrid(saved)
    assert str(caught.value).startswith(str(saved / "config.json"))
    assert "\n" not in str(caught.value)


def configure(part: str, **changes: Any) -> Callable[[Path], None]:
    """A part of the config changed."""
    return lambda folder: edit(folder / "config.json", lambda d: d["config"][part].update(changes))


def alter(**changes: Any) -> Callable[[Path], None]:
    """Tensors replaced, or with None left out."""

    def apply(folder: Path) -> None:
        tensors = load_file(folder / "avatar.safetensors") | changes
        kept = {name: tensor for name, tensor in tensors.items() if tensor is not None}
        save_file(kept, folder / "avatar.safetensors")

    return apply


MISFITS: dict[str, Callable[[Path], Any]] = {
    "another rig": lambda folder: edit(folder / "config.json", lambda d: d.update(rig="cmu_mb")),
    "unknown rig": lambda folder: edit(folder / "config.json", lambda d: d.update(rig="../../etc/passwd")),
    "rig of another type": lambda folder: edit(folder / "config.json", lambda d: d.update(rig=["anny"])),
    "another shape": lambda folder: edit(folder / "config.json", lambda d: d.update(shape={"beta": 0.5})),
    "other frames": lambda folder: edit(folder / "config.json", lambda d: d.update(frame_ids=[1])),
    "more harmonics": configure("canonical", sh_degree=2),
    "light expected": configure("deform", light={"kind": "NormalLightConfig"}),
    "no poses": alter(**{"poses.local_quats": None}),
    "flat poses": alter(**{"poses.local_quats": torch.zeros(4)}),
    "no colours": alter(**{"canonical.colors": None}),
    "unknown tensor": alter(**{"canonical.hair": torch.zeros(3)}),
    "rows missing": alter(**{"canonical.quats": torch.zeros(5, 4)}),
    "rows too short": alter(**{"canonical.quats": torch.zeros(27, 3)}),
    "wrong type": alter(**{"canonical.quats": torch.zeros(27, 4, dtype=torch.float16)}),
    "triangles that are not there": alter(**{"canonical.triangles": torch.full((27,), 10**9)}),
    "other vertices": alter(**{"canonical.displacement": torch.zeros(7, 3)}),
}


@pytest.mark.parametrize("misfit", MISFITS)
def test_tensors_must_fit_the_config(misfit: str, saved: Path) -> None:
    MISFITS[misfit](saved)
    with pytest.raises(ValueError, match=r"avatar\.safetensors does not fit config\.json") as caught:
        load_hybrid(saved)
    assert str(saved) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("keep", [0, 4, 8, 100, -1])
def test_cut_off_tensors_are_named(keep: int, saved: Path) -> None:
    path = saved / "avatar.safetensors"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ValueError, match="damaged safetensors file") as caught:
        load_hybrid(saved)
    assert str(path) in str(caught.value)


def test_what_is_missing_is_named(saved: Path, tmp_path: Path) -> None:
    (saved / "avatar.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match=r"avatar\.safetensors: missing"):
        load_hybrid(saved)
    for folder in (tmp_path / "nowhere", tmp_path):
        (tmp_path / "config.json").unlink(missing_ok=True)
        with pytest.raises(FileNotFoundError, match="no checkpoint here; make one with `avatar fit`"):
            load_hybrid(folder)


def test_tensors_come_back(tmp_path: Path) -> None:
    odd = {
        "empty": torch.zeros(0, 3),
        "strided": torch.arange(12.0).view(3, 4).T,
        "nan": torch.tensor([float("nan"), -0.0, 1e-45]),
        "ids": torch.tensor([2**62, -1]),
        "step": torch.tensor(3.0),
    }
    save_tensors(tmp_path / "a.safetensors", odd)
    loaded = load_tensors(tmp_path / "a.safetensors")
    assert loaded.keys() == odd.keys()
    for name, tensor in odd.items():
        assert loaded[name].dtype == tensor.dtype
        assert loaded[name].shape == tensor.shape
        assert loaded[name].contiguous().numpy().tobytes() == tensor.contiguous().numpy().tobytes()


def note(text: str) -> Callable[[Path], None]:
    def fill(folder: Path) -> None:
        (folder / "note").write_text(text)

    return fill


def names(run: Path) -> list[str]:
    return sorted(path.name for path in run.iterdir())


def test_checkpoints_replace_each_other(tmp_path: Path) -> None:
    run = tmp_path / "runs" / "new"
    for step in (5, 40, 1_000_000, 10_000_000):
        assert write_checkpoint(run, step, note(str(step))) == newest_checkpoint(run)
        assert (newest_checkpoint(run) / "note").read_text() == str(step)
        assert names(run) == [f"checkpoint-{step:07d}"]


def test_the_same_step_twice_is_one_checkpoint(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, 5, note("one"))
    write_checkpoint(tmp_path, 5, note("two"))
    assert names(tmp_path) == ["checkpoint-0000005"]


def test_a_failing_write_leaves_the_earlier_checkpoint(tmp_path: Path) -> None:
    earlier = write_checkpoint(tmp_path, 5, note("good"))

    def fail(folder: Path) -> None:
        (folder / "note").write_text("half")
        raise OSError("no space left")

    with pytest.raises(OSError, match="no space left"):
        write_checkpoint(tmp_path, 6, fail)
    assert newest_checkpoint(tmp_path) == earlier
    assert (earlier / "note").read_text() == "good"
    assert write_checkpoint(tmp_path, 7, note("later")) == newest_checkpoint(tmp_path)
    assert names(tmp_path) == ["checkpoint-0000007"], "leftovers are cleared away"


def test_a_crash_between_rename_and_clearing_leaves_the_newer_one(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, 5, note("old"))
    (tmp_path / "checkpoint-0000006").mkdir()
    (tmp_path / "checkpoint-0000006" / "note").write_text("new")
    (tmp_path / "checkpoint-0000005" / "note").unlink()
    assert (newest_checkpoint(tmp_path) / "note").read_text() == "new"
    write_checkpoint(tmp_path, 7, note("later"))
    assert names(tmp_path) == ["checkpoint-0000007"]


def test_other_folders_are_no_checkpoints(tmp_path: Path) -> None:
    for name in ("checkpoint-", "checkpoint-abc", "checkpoint-²", ".checkpoint-9.tmp", "report"):
        (tmp_path / name).mkdir()
    with pytest.raises(FileNotFoundError, match="no checkpoint here"):
        newest_checkpoint(tmp_path)


def test_a_checkpoint_is_no_pickle(saved: Path) -> None:
    assert sorted(os.listdir(saved)) == ["avatar.safetensors", "config.json"]
    assert (saved / "avatar.safetensors").read_bytes()[8:9] == b"{"
