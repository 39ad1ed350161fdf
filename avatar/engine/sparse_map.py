"""A fixed linear map between rows of tables, applied at every step: interpolation, differences along edges."""

import ctypes

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from .library import call, integers, is_compiled, pointers

_TENSORS = [side + name for side in ("", "transposed_") for name in ("starts", "ids", "weights")]
torch.library.define(
    "avatar::sparse_product",
    f"(Tensor table, Tensor? base, {', '.join(f'Tensor {name}' for name in _TENSORS)}) -> Tensor",
)


class SparseMap(nn.Module):
    """``out[i] = sum_k weights[i, k] table[ids[i, k]]`` for constant ``ids`` and ``weights``.

    Holds the transpose as well, so that gradients are one product of the same kind, in a fixed order. A module only so
    that it moves with the module that owns it. Not differentiable in the weights.

    Raises:
        ValueError: an id names no row of the table.
    """

    def __init__(self, ids: Int[Tensor, "n k"], weights: Float[Tensor, "n k"], num_rows: int) -> None:
        super().__init__()
        if len(ids) and (int(ids.min()) < 0 or int(ids.max()) >= num_rows):
            raise ValueError(f"SparseMap: expected ids 0 to {num_rows - 1}, got {int(ids.min())} to {int(ids.max())}")
        self.shape = (len(ids), num_rows)
        rows = torch.arange(len(ids), device=ids.device).repeat_interleave(ids.shape[1])
        columns, values = ids.flatten().long(), weights.detach().flatten()
        order = columns.argsort(stable=True)
        for prefix, keys, others, entries in (
            ("", rows, columns, values),
            ("transposed_", columns[order], rows[order], values[order]),
        ):
            counts = torch.bincount(keys, minlength=num_rows if prefix else len(ids))
            starts = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
            for name, tensor in (("starts", starts), ("ids", others.int()), ("weights", entries)):
                self.register_buffer(prefix + name, tensor.contiguous(), persistent=False)

    def forward(self, table: Float[Tensor, "m d"], base: Float[Tensor, "n d"] | None = None) -> Float[Tensor, "n d"]:
        """The mapped rows, added to ``base`` if there is one. ValueError for a table of another number of rows."""
        if len(table) != self.shape[1]:
            raise ValueError(f"SparseMap: expected a table of {self.shape[1]} rows, got {len(table)}")
        if not is_compiled() or table.device.type != "cpu":
            return self.reference(table, base)
        start = None if base is None else base.contiguous()
        return torch.ops.avatar.sparse_product(table.contiguous(), start, *(getattr(self, name) for name in _TENSORS))

    def reference(self, table: Float[Tensor, "m d"], base: Float[Tensor, "n d"] | None = None) -> Float[Tensor, "n d"]:
        """The same in plain torch, for any device."""
        starts, ids, weights = self.get_buffer("starts"), self.get_buffer("ids"), self.get_buffer("weights")
        rows = torch.arange(self.shape[0], device=ids.device).repeat_interleave(starts.diff())
        start = table.new_zeros(self.shape[0], table.shape[1]) if base is None else base
        return start.index_add(0, rows, table.index_select(0, ids) * weights[:, None])


class _Arguments(ctypes.Structure):
    _fields_ = [*integers("num_rows num_columns"), *pointers("table base starts ids weights out")]


@torch.library.impl("avatar::sparse_product", "cpu")
def _forward(table: Tensor, base: Tensor | None, starts: Tensor, ids: Tensor, weights: Tensor, *_: Tensor) -> Tensor:
    out = table.new_empty(len(starts) - 1, table.shape[1])
    start = None if base is None else base.data_ptr()
    addresses = (table.data_ptr(), start, *(t.data_ptr() for t in (starts, ids, weights, out)))
    call("sparse_product", table.dtype, _Arguments(*out.shape, *addresses))
    return out


@torch.library.register_fake("avatar::sparse_product")
def _forward_fake(table: Tensor, base: Tensor | None, starts: Tensor, *_: Tensor) -> Tensor:
    del base
    return table.new_empty(len(starts) - 1, table.shape[1])


def _setup_context(ctx, inputs: tuple, output: Tensor) -> None:
    del output
    ctx.save_for_backward(*inputs[2:])
    ctx.has_base = inputs[1] is not None


def _differentiate(ctx, v_out: Tensor) -> tuple:
    matrix, transpose = ctx.saved_tensors[:3], ctx.saved_tensors[3:]
    v_table = None
    if ctx.needs_input_grad[0]:
        v_table = torch.ops.avatar.sparse_product(v_out.contiguous(), None, *transpose, *matrix)
    return v_table, v_out if ctx.has_base else None, *[None] * 6


torch.library.register_autograd("avatar::sparse_product", _differentiate, setup_context=_setup_context)
