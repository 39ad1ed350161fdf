"""What a field says of a place, as a density per metre, in plain torch: a few passes over memory each.

A third way is ``torch.nn.functional.softplus``. Packed samples take densities as ``composite`` wants them.
"""

import torch
from jaxtyping import Float
from torch import Tensor

LARGEST_EXPONENT = 15.0


class _TruncatedExp(torch.autograd.Function):
    @staticmethod
    def forward(exponents: Tensor) -> Tensor:
        return exponents.exp()

    @staticmethod
    def setup_context(ctx, inputs: tuple[Tensor], output: Tensor) -> None:
        del output
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx, *v_densities: Tensor) -> Tensor:
        (exponents,) = ctx.saved_tensors
        return v_densities[0] * exponents.clamp(max=LARGEST_EXPONENT).exp()


def truncated_exp(exponents: Float[Tensor, "*s"]) -> Float[Tensor, "*s"]:
    """The exponential, with the gradient that it has at 15 for all that is larger (Instant-NGP, Müller et al. 2022)."""
    return _TruncatedExp.apply(exponents)


def laplace_densities(distances: Float[Tensor, "*s"], width: Float[Tensor, ""] | float) -> Float[Tensor, "*s"]:
    """Density from signed distance, by a Laplace distribution's cumulative function (VolSDF, Yariv et al. 2021, eq. 2).

    Far inside it is ``1 / width`` per metre, on the surface half of that, outside it falls off exponentially.

    Args:
        distances: metres, positive outside.
        width: metres, more than zero (beta; alpha is its inverse, as in the paper's experiments).
    """
    # Chosen by where, not abs: the gradient exists on the surface too.
    tails = 0.5 * torch.exp(-torch.where(distances < 0, -distances, distances) / width)
    return torch.where(distances < 0, 1 - tails, tails) / width
