import pytest
import torch
from torch.autograd import gradcheck

from avatar.geometry import dense_weights, sum_weighted_rows


@pytest.mark.parametrize("num_rows", [7, 600])  # below and above the size at which a dense product pays
@pytest.mark.parametrize("batch", [(), (2, 3)])
@pytest.mark.parametrize("batched_weights", [False, True])
def test_every_way_computes_the_definition(num_rows: int, batch: tuple[int, ...], batched_weights: bool):
    generator = torch.Generator().manual_seed(0)
    table = torch.randn(*batch, num_rows, 5, dtype=torch.float64, generator=generator)
    ids = torch.randint(num_rows, (11, 4), generator=generator, dtype=torch.int32)
    weights = torch.randn(*(batch if batched_weights else ()), 11, 4, dtype=torch.float64, generator=generator)
    expected = (table[..., ids, :] * weights[..., None]).sum(-2)
    torch.testing.assert_close(sum_weighted_rows(table, ids, weights), expected)
    torch.testing.assert_close(sum_weighted_rows(table.requires_grad_(), ids, weights), expected)


@pytest.mark.parametrize("num_rows", [7, 600])
def test_gradients(num_rows: int):
    ids = torch.tensor([[0, 1, 1], [6, 2, 0]])
    inputs = torch.rand(2, num_rows, 2, dtype=torch.float64), torch.rand(2, 3, dtype=torch.float64)
    table, weights = (tensor.requires_grad_() for tensor in inputs)
    assert gradcheck(lambda t, w: sum_weighted_rows(t, ids, w), (table, weights), fast_mode=True)


def test_dense_weights_keep_their_sum_and_add_repeated_ids():
    dense = dense_weights(torch.tensor([[0, 2], [1, 1]]), torch.tensor([[0.25, 0.75], [0.5, 0.5]]), 3)
    assert dense.tolist() == [[0.25, 0.0, 0.75], [0.0, 1.0, 0.0]]
