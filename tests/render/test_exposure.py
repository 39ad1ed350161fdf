"""Cameras that see the same colour differently."""

import pytest
import torch

from avatar.render import Exposure
from avatar.structs import Rendering


@pytest.fixture
def image() -> Rendering:
    alpha = torch.tensor([[0.0, 0.5, 1.0]])
    return Rendering(color=0.4 * alpha[..., None].expand(1, 3, 3), alpha=alpha)


def test_it_starts_as_no_correction(image: Rendering) -> None:
    assert torch.equal(Exposure(("a", "b"))(image, "b").color, image.color)


@torch.no_grad()
def test_gain_and_bias_differ_from_the_mean_of_cameras(image: Rendering) -> None:
    exposure = Exposure(("a", "b"))
    exposure.log_gains[:] = torch.tensor([[1.0, 0.0, 0.5], [1.0, 0.0, -0.5]])
    exposure.biases[:] = torch.tensor([[0.3, 0.1, 0.0], [0.3, -0.1, 0.0]])
    gain = torch.tensor([[1.0, 1.0, 0.5], [1.0, 1.0, -0.5]])
    gain[:, 2] = gain[:, 2].exp()
    for row, camera in enumerate(("a", "b")):
        opaque = gain[row] * 0.4 + torch.tensor([0.0, 0.1 - 0.2 * row, 0.0])
        expected = image.alpha[..., None] * opaque
        torch.testing.assert_close(exposure(image, camera).color, expected)
        assert torch.equal(exposure(image, camera).alpha, image.alpha)


@torch.no_grad()
@pytest.mark.parametrize("camera", ["c", None])
def test_other_cameras_take_the_picture_as_it_is(camera: str | None, image: Rendering) -> None:
    exposure = Exposure(("a", "b"))
    exposure.log_gains[0] = 1.0
    assert exposure(image, camera) is image


@torch.no_grad()
def test_a_difference_of_the_expected_size_counts_one() -> None:
    exposure = Exposure(("a", "b"))
    exposure.log_gains[:] = 0.2
    assert float(exposure.surprise(0.1)) == pytest.approx(4)
