"""Terms that keep a learnt surface smooth."""

from jaxtyping import Float, Int
from torch import Tensor


def stretch(
    displacement: Float[Tensor, "v 3"], edges: Int[Tensor, "e 2"], lengths: Float[Tensor, " e"]
) -> Float[Tensor, ""]:
    """Mean squared change of displacement along the template's edges, relative to their lengths (membrane energy)."""
    change = displacement.index_select(0, edges[:, 0]) - displacement.index_select(0, edges[:, 1])
    return (change / lengths[:, None]).square().sum(-1).mean() / 3
