"""Weighted sums of rows of a table: what skinning and barycentric interpolation both are."""

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import embedding_bag

_LARGEST_DENSE_TABLE = 512
"""Rows up to which a dense matrix product beats gathering, forward and backward together, on a CPU."""


def sum_weighted_rows(
    table: Float[Tensor, "*b m d"], row_ids: Int[Tensor, "n k"], weights: Float[Tensor, "*#b n k"]
) -> Float[Tensor, "*b n d"]:
    """``sum_k weights[n, k] table[row_ids[n, k]]``.

    One definition, three ways to compute it. Milliseconds on one core, forward / forward and backward: 20k rows of 8
    out of 104 with 12 features, embedding bag 0.24 / 9.5, dense product 2.2 / 5.0, gather 3.7 / 7.3; 27k rows of 3 out
    of 13,718 with 3 features, embedding bag 0.18 / 4.9, gather 1.1 / 2.4.
    """
    needs_gradient = torch.is_grad_enabled() and (table.requires_grad or weights.requires_grad)
    if weights.dim() == 2 and not needs_gradient:
        columns = table.movedim(-2, 0)
        summed = embedding_bag(row_ids, columns.flatten(1).contiguous(), per_sample_weights=weights, mode="sum")
        return summed.unflatten(1, columns.shape[1:]).movedim(0, -2)
    if table.shape[-2] <= _LARGEST_DENSE_TABLE:
        return dense_weights(row_ids, weights, table.shape[-2]) @ table
    rows = table.index_select(-2, row_ids.flatten()).unflatten(-2, row_ids.shape)
    return (rows * weights[..., None]).sum(-2)


def dense_weights(
    row_ids: Int[Tensor, "n k"], weights: Float[Tensor, "*b n k"], num_rows: int
) -> Float[Tensor, "*b n {num_rows}"]:
    """The same weights as a matrix with one column a row of the table; ids that repeat add up."""
    ids = row_ids.long().expand(weights.shape)
    return weights.new_zeros(*weights.shape[:-1], num_rows).scatter_add_(-1, ids, weights)
