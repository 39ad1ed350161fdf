"""Processes that share the tasks of each outer step, started by ``torchrun``."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed
from jaxtyping import Shaped
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Ranks:
    """This process among its fellows; by default it has none.

    Attributes:
        index: of this process; the first writes files.
        count: of all.
        device: where tensors must be to be exchanged, such as ``cpu``.
    """

    index: int = 0
    count: int = 1
    device: str = "cpu"

    def gather(self, tensor: Shaped[Tensor, "*s"]) -> list[Shaped[Tensor, "*s"]]:
        """What each of them has, in their order."""
        if self.count == 1:
            return [tensor]
        found = [torch.empty_like(tensor) for _ in range(self.count)]
        torch.distributed.all_gather(found, tensor)
        return found

    def first(self, value: float) -> float:
        """What the first has."""
        return float(self.gather(torch.tensor(value, dtype=torch.float64, device=self.device))[0])

    def any(self, is_so: bool) -> bool:
        """Whether one of them says so."""
        return any(bool(answer) for answer in self.gather(torch.tensor(float(is_so), device=self.device)))


ALONE = Ranks()


@contextmanager
def joined_ranks(device: str = "cpu") -> Iterator[Ranks]:
    """All processes of this ``torchrun``, or this one alone; on CUDA each takes the device of its local rank."""
    if not torch.distributed.is_torchelastic_launched():
        yield Ranks(device=device)
        return
    is_cuda = torch.device(device).type == "cuda"
    if is_cuda:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    torch.distributed.init_process_group("nccl" if is_cuda else "gloo")
    try:
        yield Ranks(index=torch.distributed.get_rank(), count=torch.distributed.get_world_size(), device=device)
    finally:
        torch.distributed.destroy_process_group()
