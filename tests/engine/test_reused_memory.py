"""Memory of large results is used again, and never while somebody has it."""

import pytest
import torch

from avatar.engine import rasterize, reused_memory


@pytest.fixture
def keep_little(monkeypatch):
    """Everything from a thousand bytes on is large; twenty thousand bytes are kept."""
    monkeypatch.setattr(reused_memory, "LARGE_BYTES", 1000)
    monkeypatch.setattr(reused_memory, "KEPT_BYTES", 20_000)
    monkeypatch.setattr(reused_memory, "_free", [])


def test_what_is_gone_is_used_again(keep_little):
    first = reused_memory.empty((40, 50), torch.float32)
    assert first.shape == (40, 50)
    assert first.dtype == torch.float32
    address = first.data_ptr()
    view = first[3:]
    del first
    assert reused_memory.empty((40, 50), torch.float32).data_ptr() != address  # a view has it still
    del view
    again = reused_memory.empty((1000,), torch.float64)
    other = reused_memory.empty((1000,), torch.float64)
    assert address in (again.data_ptr(), other.data_ptr())
    assert again.data_ptr() != other.data_ptr()


def test_only_so_much_is_kept(keep_little):
    for size in (1000, 2000, 3000, 4000):
        reused_memory.empty((size,), torch.float32)
    assert sum(map(len, reused_memory._free)) <= 20_000
    assert [len(kept) for kept in reused_memory._free] == [16_000]


def test_gradients_in_such_memory_outlive_the_next(keep_little, make_scene, outcome):
    scene = make_scene(sh_degree=3)
    kept = outcome(rasterize, scene)
    copies = {name: t.clone() for name, t in kept.items()}
    outcome(rasterize, scene.replace({"colors": -scene.splats.colors}))
    assert all(torch.equal(kept[name], value) for name, value in copies.items())
