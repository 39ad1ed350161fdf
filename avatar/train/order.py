"""In which order a run shows what it learns from."""

import torch


def shuffled(place: int, count: int, seed: int) -> int:
    """Which of ``count`` things comes at a place: each once an epoch, in an order that seed and epoch fix."""
    epoch, at = divmod(place, count)
    generator = torch.Generator().manual_seed(seed * 1_000_003 + epoch)
    return int(torch.randperm(count, generator=generator)[at])
