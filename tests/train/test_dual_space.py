"""A field whose light and codes learn along with it."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from avatar.canonical import FieldConfig
from avatar.checkpoint import load_avatar, save_avatar
from avatar.deform import FieldCodesConfig, FieldDeformConfig, LightFieldConfig, TriangleAffine
from avatar.engine import HashGrid
from avatar.model import FieldAvatar, FieldAvatarConfig
from avatar.structs import Capture, Split
from avatar.train import FieldFit, FieldFitConfig, FieldStepConfig, Limits, TightenConfig

CODES = FieldCodesConfig(num_features=2, hidden=8, pose_size=3, frame_size=2)
RECIPE = FieldFitConfig(
    avatar=FieldAvatarConfig(
        canonical=FieldConfig(grid=HashGrid(num_levels=3, log2_table_size=10), hidden=16, num_codes=CODES.size),
        deform=FieldDeformConfig(warp=TriangleAffine(), cell_m=0.03),
        light=LightFieldConfig(hidden=8),
        codes=CODES,
    ),
    look=FieldStepConfig(num_samples=4000, most_rays=400),
    tighten=TightenConfig(at=()),
    checkpoint_seconds=1000.0,
)


def learnt(fit: FieldFit) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in fit.avatar.state_dict().items()}


def run(capture: Capture, split: Split, folder: Path, steps: int) -> FieldFit:
    """Up to step 8 of 8, or interrupted before."""
    fit = FieldFit(capture, split, folder, RECIPE, Limits(steps=8))
    for report in fit:
        if report.step == steps:
            break
    fit.save()
    return fit


@pytest.fixture(scope="module")
def whole(sample: Capture, corner: Split, tmp_path_factory: pytest.TempPathFactory) -> FieldFit:
    return run(sample, corner, tmp_path_factory.mktemp("whole"), 8)


def test_light_and_codes_learn(whole: FieldFit, sample: Capture, corner: Split, tmp_path: Path) -> None:
    before, after = learnt(FieldFit(sample, corner, tmp_path, RECIPE, Limits(steps=8))), learnt(whole)
    assert before.keys() == after.keys()
    moved = {name for name in after if not torch.equal(before[name], after[name])}
    parameters = {name for name, _ in whole.avatar.named_parameters()}
    assert moved == parameters
    is_moved = (before["deform.code.codes"] != after["deform.code.codes"]).any(1)
    assert int(is_moved.sum()) >= 2, "of three frames, each forgotten half of the time"


def test_what_was_interrupted_ends_the_same(whole: FieldFit, sample: Capture, corner: Split, tmp_path: Path) -> None:
    run(sample, corner, tmp_path, 5)
    again = learnt(run(sample, corner, tmp_path, 8))
    assert not [name for name, tensor in learnt(whole).items() if not torch.equal(tensor, again[name])]


@torch.no_grad()
def test_a_checkpoint_holds_the_turned_light(whole: FieldFit, tmp_path: Path) -> None:
    light = whole.avatar.deform.light
    assert light is not None
    whole.avatar.deform.light = light.turned(1.0)
    save_avatar(whole.avatar, tmp_path)
    whole.avatar.deform.light = light
    loaded = load_avatar(tmp_path)
    assert isinstance(loaded, FieldAvatar)
    assert loaded.config == RECIPE.avatar
    assert loaded.deform.light is not None
    assert torch.equal(loaded.deform.light.light_from_world, light.turned(1.0).light_from_world)


def test_the_field_must_have_room_for_the_codes() -> None:
    with pytest.raises(ValueError, match=r"FieldAvatarConfig\.canonical\.num_codes: expected 5, as codes has, got 0"):
        replace(RECIPE.avatar, canonical=replace(RECIPE.avatar.canonical, num_codes=0))
    with pytest.raises(ValueError, match=r"expected 0, as codes has, got 5"):
        replace(RECIPE.avatar, codes=None)
