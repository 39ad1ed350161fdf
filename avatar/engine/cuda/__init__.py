"""The engine's functions on CUDA, by the kernels that the field already trusts; loaded only where they are chosen.

One file a package, named after it, is the only one that asks for it: ``extra("gsplat")`` inside the function, never an
import at the top. Its public functions bear the names and the signatures of ``avatar.engine``, take CUDA tensors, mean
the same and raise the same ValueErrors, so that ``rasterize_reference`` and its like are the oracle here too: tests
with the ``cuda`` marker hold them to it, forward and backward.

``gsplat.rasterize``       Gaussians to images (Ye et al. 2024); arguments and gradients of ``avatar.engine.rasterize``
``nerfacc.march``, ``composite``, ``composite_alphas``, ``weights_from_densities``, ``weights_from_alphas``,
``accumulate``  rays to packed samples to pixels (Li et al. 2023)
``pytorch3d.closest_points``, ``rasterize_mesh``  on and of meshes (Ravi et al. 2020)
``tiny_cuda_nn.hash_encode``  features of a hash grid (Müller 2021); the same tables as ``avatar.engine.hash_encode``

Nothing here is chosen silently. Who calls says which backend: ``RenderConfig.backend`` is ``"cpu"``, ``"torch"`` or
``"cuda"``, and a package that cannot be loaded is an ImportError with one sentence, not a slower path.
"""

from .extras import Extra, extra

__all__ = ["Extra", "extra"]
