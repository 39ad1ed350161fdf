"""LPIPS against published figures; only where the weights have been fetched."""

import numpy as np
import pytest
import torch

from avatar.assets import LpipsNet, lpips_path
from avatar.evaluate.lpips import MIN_SIDE_PX, Lpips, load_lpips

# What the authors' code prints for ten pairs of uniform noise (numpy.random.seed(123), normalize=True).
VGG_OF_NOISE = (0.3497, 0.3494, 0.3473, 0.3558, 0.3437, 0.3366, 0.3716, 0.3516, 0.3472, 0.3413)
# Our own figures: the linear weights equal those of the authors' package, but no published figures were found.
ALEX_OF_NOISE = (0.1645, 0.1390, 0.1418, 0.1312, 0.1731, 0.1486, 0.1301, 0.1288, 0.1422, 0.1461)


def fetched(net: LpipsNet) -> Lpips:
    if not lpips_path(net).is_file():
        pytest.skip("the weights are not in the cache: avatar assets fetch lpips")
    model = load_lpips(net)
    assert model is not None
    return model


@pytest.mark.parametrize(("net", "expected"), [("vgg", VGG_OF_NOISE), ("alex", ALEX_OF_NOISE)])
def test_published_figures(net: LpipsNet, expected: tuple[float, ...]) -> None:
    model = fetched(net)
    random = np.random.RandomState(123)
    first, second = (torch.from_numpy(random.rand(10, 3, 100, 100)).float().permute(0, 2, 3, 1) for _ in range(2))
    found = [float(model(a, b)) for a, b in zip(first, second, strict=True)]
    assert found == pytest.approx(expected, abs=6e-5)


@pytest.mark.parametrize("net", ["alex", "vgg"])
def test_distance_of_an_image_to_itself_is_zero(net: LpipsNet) -> None:
    picture = torch.rand(64, 48, 3)
    assert fetched(net)(picture, picture) == 0


@pytest.mark.parametrize("net", ["alex", "vgg"])
def test_smallest_image_has_features(net: LpipsNet) -> None:
    model = Lpips(net)
    for weight in model.linears:
        weight.fill_(1.0)
    picture = torch.rand(MIN_SIDE_PX, MIN_SIDE_PX, 3)
    assert model(picture, 1 - picture) > 0


def test_weights_that_were_not_fetched_are_none(empty_cache: object) -> None:
    assert load_lpips("alex") is None


def test_broken_weights_say_what_to_do(empty_cache: object) -> None:
    path = lpips_path("vgg")
    path.parent.mkdir(parents=True)
    path.write_bytes(b"not safetensors at all")
    with pytest.raises(ValueError, match=r"vgg\.safetensors.*avatar assets fetch lpips"):
        load_lpips("vgg")
