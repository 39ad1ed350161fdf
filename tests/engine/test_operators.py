"""The engine as torch operators: gradients by finite differences, registration, compilation."""

from typing import Literal

import pytest
import torch
from torch import Tensor

from avatar.engine import Influences, RasterizeOptions, Skinnable, image_errors, rasterize, skin, ssim

pytestmark = pytest.mark.usefixtures("needs_engine")


def planted(inputs: dict[str, Tensor], wrong: str | None, doubled) -> dict[str, Tensor]:
    """The inputs, one of them with the planted error."""
    return {name: doubled(t) if name == wrong else t for name, t in inputs.items()}


def tiny(make_scene, **fields):
    """Few enough pixels and Gaussians for finite differences; none lies on a threshold."""
    size = {"count": 5, "height": 5, "width": 6, "scale_m": 0.5}
    return make_scene(**size, cameras=2, backgrounds=True, offsets=True, **fields)


@pytest.mark.parametrize(
    "wrong", [None, "means", "quats", "scales", "opacities", "colors", "linear", "camera_from_world"]
)
def test_rasterize_gradcheck_and_the_planted_error_it_must_find(wrong: str | None, make_scene, doubled):
    scene = tiny(make_scene, sh_degree=1, linear=True, options=RasterizeOptions(depth="expected", antialiased=True))
    inputs = {name: t.requires_grad_() for name, t in scene.inputs().items()}

    def images(*tensors: Tensor) -> tuple[Tensor, Tensor]:
        changed = planted(dict(zip(inputs, tensors, strict=True)), wrong, doubled)
        return rasterize(*scene.replace(changed))[:2]

    is_right = torch.autograd.gradcheck(images, tuple(inputs.values()), nondet_tol=0.0, raise_exception=wrong is None)
    assert is_right is (wrong is None)


def skinned(seed: int = 0) -> tuple[Tensor, ...]:
    """Points, quaternions, normals, joint ids, weights and joints of a skinning problem."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*size: int) -> Tensor:
        return torch.randn(*size, generator=generator, dtype=torch.float64)

    ids = torch.randint(3, (7, 4), generator=generator, dtype=torch.int32)
    normals = torch.nn.functional.normalize(normal(7, 3), dim=1)
    return normal(7, 3), normal(7, 4), normals, ids, normal(7, 4).softmax(1), normal(3, 16)


@pytest.mark.parametrize("wrong", [None, "points", "quats", "linear", "weights", "joints", "fractions"])
@pytest.mark.parametrize("fraction", [0.0, 0.4, 1.0, None])
@pytest.mark.parametrize("covariance", ["turned", "rotation", "jacobian"])
def test_skin_gradcheck_and_the_planted_error_it_must_find(
    wrong: str | None, fraction: float | None, covariance: Literal["turned", "rotation", "jacobian"], doubled
):
    """No fraction: every point has its own. Only what is turned has no linear map."""
    points, quats, normals, ids, weights, joints = skinned()
    generator = torch.Generator().manual_seed(1)
    inputs = {"points": points, "quats": quats, "weights": weights, "joints": joints}
    if fraction is None:
        inputs["fractions"] = torch.rand(7, generator=generator, dtype=torch.float64)
    if covariance != "turned":
        inputs["linear"] = torch.randn(7, 3, 3, generator=generator, dtype=torch.float64)
    if wrong is not None and wrong not in inputs:
        return

    def posed(*tensors: Tensor) -> tuple[Tensor, ...]:
        changed = planted(dict(zip(inputs, tensors, strict=True)), wrong, doubled)
        rest = Skinnable(changed["points"], changed["quats"], normals, changed.get("linear"))
        influences, mix = Influences(ids, changed["weights"]), changed["fractions"] if fraction is None else fraction
        kind = "rotation" if covariance == "turned" else covariance
        posed = skin(rest, influences, changed["joints"], dqs_fraction=mix, covariance=kind)
        return tuple(t for t in (posed.points, posed.quats, posed.linear) if t is not None)

    tensors = tuple(t.requires_grad_() for t in inputs.values())
    is_right = torch.autograd.gradcheck(posed, tensors, nondet_tol=0.0, raise_exception=wrong is None)
    assert is_right is (wrong is None)


@pytest.mark.parametrize("is_wrong", [False, True])
def test_ssim_gradcheck_and_the_planted_error_it_must_find(is_wrong: bool, doubled):
    image, target = torch.rand(2, 13, 6, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)

    def similarity(image: Tensor) -> Tensor:
        return ssim(doubled(image) if is_wrong else image, target)

    is_right = torch.autograd.gradcheck(similarity, (image.requires_grad_(),), raise_exception=not is_wrong)
    assert is_right is not is_wrong


@pytest.mark.parametrize("wrong", [None, "color", "alpha"])
@pytest.mark.parametrize("huber_delta", [0.0, 0.3])
def test_image_errors_gradcheck_and_the_planted_error_it_must_find(wrong: str | None, huber_delta: float, doubled):
    generator = torch.Generator().manual_seed(0)
    color, target = torch.rand(2, 9, 6, 3, generator=generator, dtype=torch.float64)
    alpha = 0.1 + 0.8 * torch.rand(9, 6, generator=generator, dtype=torch.float64)
    inputs = {"color": color.requires_grad_(), "alpha": alpha.requires_grad_()}

    def errors(*tensors: Tensor) -> tuple[Tensor, ...]:
        changed = planted(dict(zip(inputs, tensors, strict=True)), wrong, doubled)
        return image_errors(changed["color"], changed["alpha"], target, target[..., 0] > 0.5, huber_delta=huber_delta)

    is_right = torch.autograd.gradcheck(errors, tuple(inputs.values()), nondet_tol=0.0, raise_exception=wrong is None)
    assert is_right is (wrong is None)


def arguments_of(name: str, make_scene) -> tuple:
    """Arguments of one operator, as the functions that wrap it make them."""
    scene = tiny(make_scene, linear=True)
    tensors = (*scene.splats[:5], *scene.views[:2], *scene.views[4:], scene.splats.linear)
    raster = (*tensors, [5, 6, -1, 0, 0, 1], [0.01, 1e10, 0.0, 0.3])
    image = torch.rand(12, 14, 3)
    pair = (image, image[..., 0].clone(), image.flip(1), image[..., 1] > 0.5, 0.1)
    points, _, normals, ids, weights, joints = skinned()
    linear, fractions = torch.rand(7, 3, 3).double(), torch.rand(7).double()
    skinning = (points, None, normals, linear, ids, weights, joints, fractions, 0.0, 2)
    match name:
        case "image_errors":
            return *pair, True, True
        case "image_errors_backward":
            return *torch.rand(3).unbind(), torch.rand(12, 14, 3), *pair
        case "rasterize":
            return raster
        case "rasterize_backward":
            colors, alphas, _, state = torch.ops.avatar.rasterize(*raster)
            return (torch.randn_like(colors), torch.randn_like(alphas), state, *raster)
        case "skin":
            return skinning
        case "skin_backward":
            posed = (torch.randn(7, 3).double(), None, torch.randn(7, 3, 3).double())
            return *posed, True, True, *skinning
        case "ssim":
            return image, image.flip(1), True
        case _:
            raise AssertionError(name)


@pytest.mark.parametrize(
    "name",
    ["image_errors", "image_errors_backward", "rasterize", "rasterize_backward", "skin", "skin_backward", "ssim"],
)
def test_registration(name: str, make_scene):
    """Schemas state what is changed (nothing), fake kernels give the shapes, gradients are registered where due."""
    arguments = [
        t.detach().requires_grad_() if isinstance(t, Tensor) and t.is_floating_point() and "backward" not in name else t
        for t in arguments_of(name, make_scene)
    ]
    checks = ("test_schema", "test_faketensor", "test_autograd_registration")
    torch.library.opcheck(getattr(torch.ops.avatar, name).default, tuple(arguments), test_utils=checks)


def test_there_is_no_second_derivative(make_scene):
    """A gradient of a gradient is refused, not wrong."""
    scene = tiny(make_scene)
    opacities = scene.splats.opacities.requires_grad_()
    loss = rasterize(*scene).colors.square().sum()
    (gradient,) = torch.autograd.grad(loss, opacities, create_graph=True)
    with pytest.raises(RuntimeError):
        torch.autograd.grad(gradient.sum(), opacities)


def test_compiled_graphs_hold_the_operators(make_scene):
    """torch.compile traces through, without a break, to the same image and gradient."""
    scene = tiny(make_scene, options=RasterizeOptions(depth="expected"))

    def loss_of(opacities: Tensor) -> Tensor:
        renders = rasterize(scene.splats._replace(opacities=opacities), scene.views, scene.options)
        similarity, _ = torch.ops.avatar.ssim(renders.colors[0], renders.colors[1].detach(), True)
        return renders.colors.square().sum() * similarity

    values = []
    for function in (loss_of, torch.compile(loss_of, backend="aot_eager", fullgraph=True)):
        opacities = scene.splats.opacities.clone().requires_grad_()
        loss = function(opacities)
        loss.backward()
        values.append((loss.detach(), opacities.grad))
    for plain, compiled in zip(*values, strict=True):
        torch.testing.assert_close(compiled, plain)
