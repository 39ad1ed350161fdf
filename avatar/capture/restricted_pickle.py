"""Read the dictionary in an ``annots.npy`` without being able to run code.

``numpy.save`` of a dict is a pickle, and a pickle is a program. This is an interpreter of the harmless part of that
language: literals, lists, tuples, dicts, and the four names by which NumPy rebuilds arrays. Those names stand for our
own functions below, which check sizes and types; nothing that the file names is ever imported or called, and any other
instruction is refused. ``pickletools`` only splits the bytes into instructions.
"""

import math
import pickletools
import re
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from avatar.arrays import is_text_valid

from .errors import CaptureError
from .files import npy_header, read_bytes

MAX_INSTRUCTIONS = 2_000_000
SCALAR_CODE = re.compile(r"[biuf]\d|[SU]\d{1,6}|O8?")


class Refused(ValueError):
    """The pickle holds what no table of cameras and pictures needs."""


class _Mark:
    """Where on the stack a list, tuple or dict begins."""


class _Dtype:
    """A NumPy type under construction: its code first, its byte order with BUILD."""

    def __init__(self, code: object, *_: object) -> None:
        if not isinstance(code, str) or not SCALAR_CODE.fullmatch(code):
            raise Refused("an array of unknown type")
        self.dtype = np.dtype(code)

    def build(self, state: object) -> None:
        match state:
            case (int(), ("<" | ">" | "|" | "=") as byte_order, None, None, None, *_):
                self.dtype = self.dtype.newbyteorder(byte_order)
            case _:
                raise Refused("an array type with parts")


def _new_array(*_: object) -> np.ndarray:
    """``_reconstruct(ndarray, (0,), b"b")``: an empty array, to be filled with BUILD."""
    return np.ndarray((0,))


def _fill_array(array: np.ndarray, state: object) -> None:
    match state:
        case (int(), tuple() as shape, _Dtype() as kind, int() as fortran, bytes() | list() as data):
            pass
        case _:
            raise Refused("an array of unknown form")
    dtype = kind.dtype
    size = math.prod(_lengths(shape))
    found = len(data) if isinstance(data, list) else len(data) / max(1, dtype.itemsize)
    if dtype.hasobject != isinstance(data, list) or found != size:
        raise Refused(f"an array of {size} elements that holds {found:g}")
    checked: Any = (1, shape, dtype, bool(fortran), data)
    array.__setstate__(checked)
    if not is_text_valid(array):
        raise Refused("text with characters that do not exist")


def _lengths(shape: tuple[object, ...]) -> list[int]:
    lengths = [length for length in shape if type(length) is int and length >= 0]
    if len(lengths) != len(shape) or len(shape) > 8:
        raise Refused("an array of unknown shape")
    return lengths


def _scalar(kind: object, data: object) -> object:
    """``scalar(dtype, bytes)``: one number."""
    if not isinstance(kind, _Dtype) or not isinstance(data, bytes) or kind.dtype.hasobject:
        raise Refused("a scalar of unknown form")
    return np.frombuffer(data, kind.dtype, count=1)[0]


def _from_buffer(data: object, kind: object, shape: object, order: object) -> np.ndarray:
    """``_frombuffer(bytes, dtype, shape, order)``: how protocol 5 stores an array."""
    array = _new_array()
    if not isinstance(data, bytes | bytearray) or order not in ("C", "F"):
        raise Refused("an array of unknown form")
    _fill_array(array, (1, shape, kind, order == "F", bytes(data)))
    return array


def _encode(text: object, encoding: object) -> bytes:
    """``_codecs.encode(text, "latin1")``: how protocol 2 stores bytes."""
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise Refused("text in an unknown encoding")
    return text.encode("latin-1")


NAMES: dict[str, Callable[..., object]] = {
    "numpy.core.multiarray _reconstruct": _new_array,
    "numpy.core.multiarray scalar": _scalar,
    "numpy.core.numeric _frombuffer": _from_buffer,
    "numpy ndarray": _new_array,
    "numpy dtype": _Dtype,
    "_codecs encode": _encode,
    "__builtin__ bytes": lambda: b"",
}
NUMBERS = ("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT")
TEXTS = ("BINSTRING", "SHORT_BINSTRING", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8")
BYTES = ("BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8")
LITERALS = frozenset(NUMBERS + TEXTS + BYTES)
CONSTANTS: dict[str, Callable[[], object]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_LIST": list,
    "EMPTY_TUPLE": tuple,
    "EMPTY_DICT": dict,
    "MARK": _Mark,
}


class _Machine:
    """The stack and the memory of a pickle, and what each instruction does to them."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.memo: dict[int, object] = {}

    def run(self, data: bytes) -> object:
        """Follow the instructions to the last one; Refused when one is not allowed."""
        for count, (opcode, argument, _) in enumerate(pickletools.genops(BytesIO(data))):
            if count >= MAX_INSTRUCTIONS:
                raise Refused(f"more than {MAX_INSTRUCTIONS} instructions")
            if opcode.name in LITERALS:
                self.stack.append(argument)
            elif opcode.name in CONSTANTS:
                self.stack.append(CONSTANTS[opcode.name]())
            elif opcode.name in OPERATIONS:
                OPERATIONS[opcode.name](self, argument)
            else:
                raise Refused(f"the instruction {opcode.name}")
        return self.stack.pop()

    def ignore(self, _: object) -> None:
        """PROTO, FRAME, STOP."""

    def put(self, index: int | None) -> None:
        """Remember the top of the stack."""
        self.memo[len(self.memo) if index is None else index] = self.stack[-1]

    def get(self, index: int) -> None:
        """Push what was remembered."""
        self.stack.append(self.memo[index])

    def take(self, count: int) -> tuple[Any, ...]:
        """Pop ``count`` items."""
        return tuple(self.stack.pop() for _ in range(count))[::-1]

    def take_to_mark(self) -> tuple[Any, ...]:
        """Pop all items above the last mark, and the mark."""
        items = []
        while not isinstance(item := self.stack.pop(), _Mark):
            items.append(item)
        return tuple(reversed(items))

    def extend(self, items: tuple[Any, ...]) -> None:
        """Add items to the list on top."""
        if not isinstance(self.stack[-1], list):
            raise Refused("an addition to what is no list")
        self.stack[-1].extend(items)

    def update(self, items: tuple[Any, ...]) -> None:
        """Add keys and values, in turn, to the dictionary on top."""
        keys = items[::2]
        if not isinstance(self.stack[-1], dict) or len(items) % 2 or not all(isinstance(key, str) for key in keys):
            raise Refused("a dictionary whose keys are not text")
        self.stack[-1].update(zip(keys, items[1::2], strict=True))

    def make_dict(self, items: tuple[Any, ...]) -> None:
        """Push a dictionary of keys and values in turn."""
        self.stack.append({})
        self.update(items)

    def name(self, name: str) -> None:
        """Push our own function for one of the known names."""
        name = name.replace("numpy._core", "numpy.core")
        if name not in NAMES:
            raise Refused(f"the name {name[:80]!r}, which could run code")
        self.stack.append(NAMES[name])

    def name_from_stack(self) -> None:
        """The same with module and name taken from the stack."""
        module, name = self.take(2)
        self.name(f"{module} {name}" if isinstance(module, str) and isinstance(name, str) else "?")

    def call(self) -> None:
        """Push the result of one of our own functions."""
        function, arguments = self.take(2)
        if not isinstance(arguments, tuple) or not any(function is known for known in NAMES.values()):
            raise Refused("a call of what makes no array")
        self.stack.append(function(*arguments))

    def build(self) -> None:
        """Fill the array, or complete the array type, on top."""
        (state,) = self.take(1)
        match self.stack[-1]:
            case np.ndarray() as array:
                _fill_array(array, state)
            case _Dtype() as kind:
                kind.build(state)
            case _:
                raise Refused("a state of what is no array")


OPERATIONS: dict[str, Callable[[_Machine, Any], None]] = {
    **dict.fromkeys(("PROTO", "FRAME", "STOP"), _Machine.ignore),
    **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"), _Machine.put),
    **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), _Machine.get),
    "TUPLE1": lambda machine, _: machine.stack.append(machine.take(1)),
    "TUPLE2": lambda machine, _: machine.stack.append(machine.take(2)),
    "TUPLE3": lambda machine, _: machine.stack.append(machine.take(3)),
    "TUPLE": lambda machine, _: machine.stack.append(machine.take_to_mark()),
    "LIST": lambda machine, _: machine.stack.append(list(machine.take_to_mark())),
    "DICT": lambda machine, _: machine.make_dict(machine.take_to_mark()),
    "APPEND": lambda machine, _: machine.extend(machine.take(1)),
    "APPENDS": lambda machine, _: machine.extend(machine.take_to_mark()),
    "SETITEM": lambda machine, _: machine.update(machine.take(2)),
    "SETITEMS": lambda machine, _: machine.update(machine.take_to_mark()),
    "GLOBAL": _Machine.name,
    "STACK_GLOBAL": lambda machine, _: machine.name_from_stack(),
    "REDUCE": lambda machine, _: machine.call(),
    "BUILD": lambda machine, _: machine.build(),
}


def load_npy_dict(path: Path) -> dict[str, object]:
    """The dictionary that ``numpy.save`` stored in ``path``, without running anything that it names.

    Values are numbers, text, bytes, lists, tuples, dictionaries and arrays of numbers or text; their types and nesting
    are whatever the file says, so callers check them. Raises CaptureError for a pickle that asks for more than that,
    and for a file that is broken or larger than 256 MB.
    """
    data = read_bytes(path)
    header = npy_header(data, path)
    if not header.dtype.hasobject or header.shape != ():
        raise CaptureError(
            path, f"expected a saved dictionary, got an array of {header.dtype} and shape {header.shape}"
        )
    try:
        array = _Machine().run(data[header.offset :])
    except (ValueError, TypeError, IndexError, KeyError, OverflowError, MemoryError) as error:
        raise CaptureError(path, f"is broken or no plain table of numbers and text: {error}; save it again") from error
    value = array.item() if isinstance(array, np.ndarray) and array.shape == () else None
    if not isinstance(value, dict):
        raise CaptureError(path, "expected a saved dictionary; write it with numpy.save(path, dictionary)")
    return value
