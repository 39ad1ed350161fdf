"""A correction is kept near and even: by hand, and by its laws."""

import pytest
import torch

from avatar.losses import MotionConfig, MotionTerms

STRAIN, SIZE = MotionConfig(strain=1.0, size=0.0), MotionConfig(strain=0.0, size=1.0)
LINE = torch.arange(8.0)[:, None] * torch.tensor([0.1, 0.0, 0.0])


def test_an_even_shift_has_no_strain() -> None:
    assert float(MotionTerms(LINE, 1, STRAIN)(torch.full((8, 3), 0.2))) == pytest.approx(0, abs=1e-12)


def test_strain_of_a_stretched_line_by_hand() -> None:
    """Every neighbour moves away by a tenth of its distance, along one of three axes."""
    assert float(MotionTerms(LINE, 1, STRAIN)(0.1 * LINE)) == pytest.approx(0.01 / 3, rel=1e-5)


def test_size_counts_square_centimetres() -> None:
    assert float(MotionTerms(LINE, 1, SIZE)(torch.full((8, 3), 0.02))) == pytest.approx(4.0, rel=1e-6)


def test_cameras_count_against_it() -> None:
    offsets = torch.randn(8, 3, generator=torch.Generator().manual_seed(0)) * 0.01
    for config, power in ((STRAIN, 1), (SIZE, 2)):
        one, four = (float(MotionTerms(LINE, cameras, config)(offsets)) for cameras in (1, 4))
        assert one / four == pytest.approx(4**power, rel=1e-5)


def test_points_in_one_place_are_finite() -> None:
    offsets = torch.randn(8, 3, generator=torch.Generator().manual_seed(0))
    assert bool(MotionTerms(torch.zeros(8, 3), 1, MotionConfig())(offsets).isfinite())


@pytest.mark.parametrize("name", ["strain", "size"])
def test_negative_weights_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=rf"MotionConfig\.{name}: expected zero or more, got -1"):
        MotionConfig(**{name: -1.0})
