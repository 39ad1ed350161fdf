"""What no picture shows takes the look of what they do show."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from avatar.structs import Capture, Split
from avatar.train import HybridFit, HybridFitConfig, UnseenConfig
from avatar.train.unseen import Unseen

FRONT = Split(name="front", frame_ids=(0, 3), camera_ids=(0,))
Start = Callable[..., HybridFit]


@pytest.fixture
def fit(start: Start, tmp_path: Path) -> HybridFit:
    """Seen by one camera."""
    return start(tmp_path, split=FRONT)


@pytest.fixture
def unseen(fit: HybridFit, sample: Capture) -> Unseen:
    return Unseen(fit.avatar, sample, FRONT, UnseenConfig())


def test_one_camera_sees_about_half(fit: HybridFit, unseen: Unseen) -> None:
    is_seen = unseen.seen(fit.avatar.canonical)
    assert 0.25 < float(is_seen.double().mean()) < 0.75


def test_more_cameras_see_more(fit: HybridFit, unseen: Unseen, sample: Capture) -> None:
    around = replace(FRONT, camera_ids=tuple(range(len(sample.cameras))))
    more = Unseen(fit.avatar, sample, around, UnseenConfig())
    one, all_around = (known.seen(fit.avatar.canonical) for known in (unseen, more))
    assert int(all_around.sum()) > 1.2 * int(one.sum())


def test_the_unseen_do_not_learn(fit: HybridFit, unseen: Unseen) -> None:
    canonical = fit.avatar.canonical
    canonical.colors.grad = torch.ones_like(canonical.colors)
    unseen.hold(fit.avatar)
    assert torch.equal(canonical.colors.grad[:, 0] > 0, unseen.seen(canonical))


@torch.no_grad()
def test_the_unseen_take_the_look_of_the_seen(fit: HybridFit, unseen: Unseen) -> None:
    """Blue below, red above: so on the far side, which was white."""
    canonical = fit.avatar.canonical
    is_seen = unseen.seen(canonical)
    height = canonical.roots[:, 2]
    middle = height.median()
    blue, red, white = (torch.tensor(color) for color in ([0.0, 0, 1], [1.0, 0, 0], [1.0, 1, 1]))
    canonical.colors.copy_(torch.where((height > middle)[:, None], red, blue))
    canonical.colors[~is_seen] = white
    before = canonical.colors[is_seen].clone()
    unseen.complete(canonical)
    assert torch.equal(canonical.colors[is_seen], before)
    for row in ((height > middle + 0.1) & ~is_seen, (height < middle - 0.1) & ~is_seen):
        assert bool(row.any())
    torch.testing.assert_close(canonical.colors[(height > middle + 0.1) & ~is_seen].mean(0), red, atol=0.05, rtol=0)
    torch.testing.assert_close(canonical.colors[(height < middle - 0.1) & ~is_seen].mean(0), blue, atol=0.05, rtol=0)


@torch.no_grad()
def test_nobody_looks_through_what_was_completed(fit: HybridFit, unseen: Unseen) -> None:
    canonical = fit.avatar.canonical
    canonical.opacity_logits.fill_(-3.0)
    unseen.complete(canonical)
    assert bool((canonical.opacity_logits[~unseen.seen(canonical)] >= 2.0).all())


def test_it_can_be_switched_off(fit: HybridFit, sample: Capture) -> None:
    learns_all = Unseen(fit.avatar, sample, FRONT, UnseenConfig(min_share=0.0))
    assert bool(learns_all.seen(fit.avatar.canonical).all())
    before = fit.avatar.canonical.colors.detach().clone()
    learns_all.complete(fit.avatar.canonical)
    assert torch.equal(fit.avatar.canonical.colors.detach(), before)


def test_a_fit_completes_as_often_as_asked(start: Start, recipe: HybridFitConfig, tmp_path: Path) -> None:
    fit = start(tmp_path, replace(recipe, unseen=UnseenConfig(rounds=(0.0, 0.5, 0.9))), steps=10, split=FRONT)
    found = [fit.completions for _ in fit]
    assert found == [1] * 5 + [2] * 4 + [3]


def test_wrong_settings_are_named() -> None:
    with pytest.raises(ValueError, match=r"UnseenConfig\.min_share: expected 0 to 1, got 1\.5"):
        UnseenConfig(min_share=1.5)
    for rounds in ((0.5, 0.2), (2.0,)):
        with pytest.raises(ValueError, match=r"UnseenConfig\.rounds: expected ascending fractions"):
            UnseenConfig(rounds=rounds)


def test_every_camera_looks_at_the_frames_chosen(sample: Capture, fit: HybridFit) -> None:
    """However many frames there are: skin that the second of two cameras shows is seen."""
    frames = tuple(range(sample.num_frames)) * 8
    one, both = (
        Unseen(fit.avatar, sample, Split(name="many", frame_ids=frames, camera_ids=cameras), UnseenConfig())
        for cameras in ((0,), (0, 3))
    )
    assert int(both.seen(fit.avatar.canonical).sum()) > 1.1 * int(one.seen(fit.avatar.canonical).sum())


def test_a_body_that_no_camera_sees_is_named(sample: Capture, fit: HybridFit) -> None:
    behind = torch.eye(4)
    behind[2, 3] = -50.0
    away = replace(sample, cameras=tuple(replace(camera, camera_from_world=behind) for camera in sample.cameras))
    with pytest.raises(ValueError, match="split 'front': no camera sees the body"):
        Unseen(fit.avatar, away, FRONT, UnseenConfig())
