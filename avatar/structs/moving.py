"""Records of tensors to another device or precision."""

from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from typing import TypeVar

from torch import Tensor

Record = TypeVar("Record")


def map_tensors(record: Record, function: Callable[[Tensor], Tensor]) -> Record:
    """The frozen ``record`` with ``function`` applied to every tensor in it and in the records that it holds."""
    assert is_dataclass(record)
    assert not isinstance(record, type)
    changed = {}
    for field in fields(record):
        value = getattr(record, field.name)
        if isinstance(value, Tensor):
            changed[field.name] = function(value)
        elif is_dataclass(value):
            changed[field.name] = map_tensors(value, function)
    return replace(record, **changed)
