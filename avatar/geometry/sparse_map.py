"""A fixed linear map between rows of tables, applied at every step: interpolation, differences along edges."""

import warnings

import torch
from jaxtyping import Float, Int
from torch import Tensor


class SparseMap:
    """``out[i] = sum_k weights[i, k] table[ids[i, k]]`` for constant ``ids`` and ``weights``.

    Holds the transpose as well, so that gradients are one sparse product too. Not differentiable in the weights.
    """

    def __init__(self, ids: Int[Tensor, "n k"], weights: Float[Tensor, "n k"], num_rows: int) -> None:
        rows = torch.arange(len(ids), device=ids.device).repeat_interleave(ids.shape[1])
        indices = torch.stack([rows, ids.flatten().long()])
        with warnings.catch_warnings(), torch.sparse.check_sparse_tensor_invariants():
            warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta")
            matrix = torch.sparse_coo_tensor(indices, weights.detach().flatten(), (len(ids), num_rows)).coalesce()
            self._matrix, self._transpose = matrix.to_sparse_csr(), matrix.t().coalesce().to_sparse_csr()

    def __call__(self, table: Float[Tensor, "m d"]) -> Float[Tensor, "n d"]:
        """The mapped rows."""
        return _SparseProduct.apply(table, self._matrix, self._transpose)


class _SparseProduct(torch.autograd.Function):
    @staticmethod
    def forward(ctx, table: Tensor, matrix: Tensor, transpose: Tensor) -> Tensor:
        ctx.transpose = transpose
        return matrix @ table

    @staticmethod
    def backward(ctx, *grad_outputs: Tensor) -> tuple[Tensor, None, None]:
        return ctx.transpose @ grad_outputs[0].contiguous(), None, None
