"""The small kernels of a training step against their plain-torch specifications: rows, frames, light."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck

from avatar.engine import SparseMap, on_frames, on_frames_reference, relight, relight_reference, set_threads
from avatar.geometry import normalize_quats

N = 10_000


def draw(*size: int, dtype: torch.dtype = torch.float64, seed: int = 0) -> Tensor:
    return torch.randn(*size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def frame_inputs(count: int, dtype: torch.dtype) -> list[Tensor]:
    frames = normalize_quats(draw(count, 4, dtype=dtype))
    return [frames, *(draw(count, size, dtype=dtype, seed=size) for size in (3, 3, 4))]


def light_inputs(count: int, dtype: torch.dtype, harmonics: int = 4) -> list[Tensor]:
    normals = torch.nn.functional.normalize(draw(count, 3, dtype=dtype), dim=1)
    return [
        draw(count, harmonics, 3, dtype=dtype),
        draw(count, 3, dtype=dtype, seed=1),
        normals,
        draw(8, 3, dtype=dtype),
    ]


def sparse_map(count: int, num_rows: int, dtype: torch.dtype) -> SparseMap:
    ids = torch.randint(num_rows, (count, 3), generator=torch.Generator().manual_seed(0))
    return SparseMap(ids, draw(count, 3, dtype=dtype), num_rows)


def row_inputs(count: int, dtype: torch.dtype, columns: int = 3) -> list[Tensor]:
    return [draw(700, columns, dtype=dtype), draw(count, columns, dtype=dtype, seed=1)]


def outcome(function: Callable, inputs: list[Tensor]) -> list[Tensor]:
    """Outputs and the gradients of a fixed random sum of them."""
    leaves = [t.clone().requires_grad_() for t in inputs]
    outputs = function(*leaves)
    outputs = [outputs] if isinstance(outputs, Tensor) else list(outputs)
    loss = torch.stack([(t * draw(*t.shape, dtype=t.dtype, seed=5)).sum() for t in outputs]).sum()
    gradients = torch.autograd.grad(loss, leaves, allow_unused=True, materialize_grads=True)
    return [t.detach() for t in (*outputs, *gradients)]


CASES = {
    "frames": (on_frames, on_frames_reference, frame_inputs),
    "light": (relight, relight_reference, light_inputs),
}


def functions(name: str, count: int, dtype: torch.dtype) -> tuple[Callable, Callable, list[Tensor]]:
    """The compiled function, its specification, and inputs."""
    if name == "rows":
        mapping = sparse_map(count, 700, dtype)
        return mapping, mapping.reference, row_inputs(count, dtype)
    compiled, reference, inputs = CASES[name]
    return compiled, reference, inputs(count, dtype)


@pytest.mark.parametrize("name", ["rows", "frames", "light"])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
@pytest.mark.parametrize("count", [0, 1, N])
def test_agrees_with_its_specification(name: str, dtype: torch.dtype, tolerance: float, count: int, needs_engine):
    """Of the largest value; float32 sums ten thousand terms in another order."""
    compiled, reference, inputs = functions(name, count, dtype)
    for found, expected in zip(outcome(compiled, inputs), outcome(reference, inputs), strict=True):
        assert found.shape == expected.shape
        if found.numel():
            assert (found - expected).abs().max() <= tolerance * expected.abs().max().clamp(min=1)


@pytest.mark.parametrize("columns", [1, 2, 3, 6, 9])
def test_any_number_of_columns(columns: int, needs_engine):
    mapping, inputs = sparse_map(50, 700, torch.float64), row_inputs(50, torch.float64, columns)
    for found, expected in zip(outcome(mapping, inputs), outcome(mapping.reference, inputs), strict=True):
        torch.testing.assert_close(found, expected)
    torch.testing.assert_close(mapping(inputs[0]), mapping(inputs[0], base=torch.zeros_like(inputs[1])))


@pytest.mark.parametrize("name", ["rows", "frames", "light"])
def test_gradients_are_those_of_finite_differences(name: str):
    compiled, _, inputs = functions(name, 6, torch.float64)
    leaves = [t.clone().requires_grad_() for t in inputs]
    constant = {"rows": None, "frames": 0, "light": 2}[name]
    if constant is not None:
        leaves[constant].requires_grad_(False)
    assert gradcheck(compiled, leaves)

    def wrong(*tensors: Tensor) -> list[Tensor]:
        outputs = compiled(*tensors)
        outputs = [outputs] if isinstance(outputs, Tensor) else outputs
        return [t.detach() + 2 * (t - t.detach()) for t in outputs]

    assert not gradcheck(wrong, leaves, raise_exception=False)


@pytest.mark.parametrize("name", ["rows", "frames", "light"])
def test_threads_change_no_bit(name: str, needs_engine):
    compiled, _, inputs = functions(name, N, torch.float32)
    found = []
    for threads in (1, 2, 3):
        set_threads(threads)
        found.append(outcome(compiled, inputs))
    set_threads(None)
    for other in found[1:]:
        assert all(torch.equal(a, b) for a, b in zip(found[0], other, strict=True))


def test_a_map_moves_with_its_owner():
    owner = torch.nn.Module()
    owner.map = sparse_map(5, 4, torch.float32)
    owner.to(torch.float64)
    assert not owner.state_dict()
    assert owner.map(torch.ones(4, 2, dtype=torch.float64)).dtype == torch.float64


def test_light_by_itself_and_colour_by_itself():
    """Without a light only what is added counts; without anything added only the light."""
    sh, added, normals, coefficients = light_inputs(5, torch.float64)
    for inputs in ((sh, added, normals, None), (sh, None, normals, coefficients), (sh, None, normals, None)):
        torch.testing.assert_close(relight(*inputs), relight_reference(*inputs))
    torch.testing.assert_close(relight(sh, None, normals, None), sh)


def test_wrong_inputs_are_named():
    mapping = sparse_map(5, 4, torch.float32)
    with pytest.raises(ValueError, match="expected a table of 4 rows, got 3"):
        mapping(torch.zeros(3, 2))
    with pytest.raises(ValueError, match="expected ids 0 to 1, got 0 to 2"):
        SparseMap(torch.tensor([[0, 2]]), torch.ones(1, 2), 2)
    frames, origins, points, quats = frame_inputs(5, torch.float32)
    with pytest.raises(ValueError, match=r"points: expected .*float32.* got .*float64"):
        on_frames(frames, origins, points.double(), quats)
    sh, added, normals, coefficients = light_inputs(5, torch.float32)
    with pytest.raises(ValueError, match=r"coefficients: expected \(8, 3\)"):
        relight(sh, added, normals, coefficients.double())
    with pytest.raises(ValueError, match=r"added: expected .*float32, got .*float64"):
        relight(sh, added.double(), normals, coefficients)
