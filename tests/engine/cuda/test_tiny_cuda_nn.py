"""The adapter of tiny-cuda-nn's hash grid: its words for a grid, and on a GPU our specification to second order."""

from types import SimpleNamespace

import pytest
import torch
from torch import Tensor

from avatar.engine import HashGrid, hash_encode_reference
from avatar.engine.cuda import tiny_cuda_nn

GRID = HashGrid(num_levels=4, log2_table_size=9, base_resolution=5, per_level_scale=1.5, interpolation="smoothstep")


class Encoding(torch.nn.Module):
    """Stands in for tiny-cuda-nn's module: the same arguments, flat parameters, and our specification inside."""

    def __init__(self, num_dims: int, config: dict, dtype: torch.dtype) -> None:
        super().__init__()
        assert (num_dims, config["otype"], config["type"]) == (3, "Grid", "Hash")
        self.grid = HashGrid(
            num_levels=config["n_levels"],
            features_per_level=config["n_features_per_level"],
            log2_table_size=config["log2_hashmap_size"],
            base_resolution=config["base_resolution"],
            per_level_scale=config["per_level_scale"],
            interpolation=config["interpolation"].lower(),
        )
        self.params = torch.nn.Parameter(torch.zeros(self.grid.num_rows * self.grid.features_per_level, dtype=dtype))

    def forward(self, points: Tensor) -> Tensor:
        return hash_encode_reference(points, self.params.view(-1, self.grid.features_per_level), self.grid)


def problem(device: str) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    points, table = torch.rand(300, 3, generator=generator), torch.randn(GRID.num_rows, 2, generator=generator)
    return (points * 1.1 - 0.05).to(device), table.to(device)


def test_table_and_grid_reach_the_module(monkeypatch):
    monkeypatch.setattr(tiny_cuda_nn, "extra", lambda name: SimpleNamespace(Encoding=Encoding))
    points, table = problem("cpu")
    module = tiny_cuda_nn._encoding.__wrapped__(GRID, -1)
    assert sum(parameter.numel() for parameter in module.parameters()) == 0
    found = torch.func.functional_call(module, {"params": table.flatten()}, points)
    assert torch.equal(found, hash_encode_reference(points, table, GRID))


def test_another_layout_is_named(monkeypatch):
    class Longer(Encoding):
        def __init__(self, *arguments, **named) -> None:
            super().__init__(*arguments, **named)
            self.params = torch.nn.Parameter(torch.zeros(4000))

    monkeypatch.setattr(tiny_cuda_nn, "extra", lambda name: SimpleNamespace(Encoding=Longer))
    with pytest.raises(ValueError, match="expected 1664 rows as tiny-cuda-nn counts them, got 2000"):
        tiny_cuda_nn._encoding.__wrapped__(GRID, -1)


def test_other_tensors_are_named():
    with pytest.raises(ValueError, match="expected float32 tensors on one CUDA device, got torch"):
        tiny_cuda_nn.hash_encode(*problem("cpu"), GRID)


@pytest.mark.cuda
def test_equals_the_reference_to_second_order():
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    pytest.importorskip("tinycudann")

    def outcome(function) -> list[Tensor]:
        points, table = (t.requires_grad_() for t in problem("cuda"))
        features = function(points, table, GRID)
        (slopes,) = torch.autograd.grad(features.square().sum(), points, create_graph=True)
        return [features, slopes, *torch.autograd.grad(slopes.square().sum(), (points, table))]

    for found, expected in zip(outcome(tiny_cuda_nn.hash_encode), outcome(hash_encode_reference), strict=True):
        assert (found - expected).abs().max() <= 1e-3 * expected.abs().max()
