"""Read pickled tables without being able to run code.

A pickle is a program. This is an interpreter of the harmless part of that language: literals, lists, tuples, dicts, and
the few names by which NumPy rebuilds arrays. Those names stand for our own functions below, which check sizes and
types; chumpy's arrays and SciPy's sparse matrices, of which the files of body models are made, become inert ``Stub``
records. Nothing that a file names is ever imported or called, and any other instruction is refused. ``pickletools``
only splits the bytes into instructions.
"""

import codecs
import math
import pickletools
import re
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

import numpy as np

from .arrays import is_text_valid

MAX_INSTRUCTIONS = 2_000_000
SLACK_BYTES = 2**20
SCALAR_CODE = re.compile(r"[biuf]\d|[SU]\d{1,6}|O8?")
STUBBED = re.compile(r"chumpy(\.\w+)* \w+|scipy\.sparse(\.\w+)? cs[cr]_(matrix|array)")


class Refused(ValueError):
    """The pickle is broken, or holds what no table of numbers and text needs."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Stub:
    """An object of a class that is known but not loaded: nothing but what it was made of.

    Attributes:
        kind: module and name of its class, with a blank between.
        state: its attributes.
    """

    kind: str
    state: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class _StubClass:
    """What stands for a class whose objects become stubs; its constructor's arguments are dropped."""

    kind: str

    def __call__(self, *_: object) -> Stub:
        return Stub(kind=self.kind)


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
        case (int(), tuple() as shape, _Dtype() as kind, int() as fortran, bytes() | str() | list() as data):
            pass
        case _:
            raise Refused("an array of unknown form")
    data = _bytes(data) if isinstance(data, str) else data
    dtype = kind.dtype
    size = math.prod(_lengths(shape))
    found = len(data) if isinstance(data, list) else len(data) / max(1, dtype.itemsize)
    if dtype.hasobject != isinstance(data, list) or found != size:
        raise Refused(f"an array of {size} elements that holds {found:g}")
    checked: Any = (1, shape, dtype, bool(fortran), data)
    array.__setstate__(checked)
    if not is_text_valid(array):
        raise Refused("text with characters that do not exist")


def _bytes(text: str) -> bytes:
    """What Python 2 wrote as a string: our literals turn its bytes into the characters of the same numbers."""
    return text.encode("latin-1")


def _lengths(shape: tuple[object, ...]) -> list[int]:
    lengths = [length for length in shape if type(length) is int and length >= 0]
    if len(lengths) != len(shape) or len(shape) > 8:
        raise Refused("an array of unknown shape")
    return lengths


def _scalar(kind: object, data: object) -> object:
    """``scalar(dtype, bytes)``: one number."""
    data = _bytes(data) if isinstance(data, str) else data
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
    return _bytes(text)


def _reconstructor(kind: object, *_: object) -> Stub:
    """``copy_reg._reconstructor(class, object, None)``: how protocols 0 and 1 begin an object."""
    if not isinstance(kind, _StubClass):
        raise Refused("an object of an unknown class")
    return kind()


def _members(items: object = ()) -> list[object]:
    """``set(list)``: its members."""
    if not isinstance(items, list | tuple):
        raise Refused("a set of unknown form")
    return list(items)


NAMES: dict[str, Callable[..., object]] = {
    "numpy.core.multiarray _reconstruct": _new_array,
    "numpy.core.multiarray scalar": _scalar,
    "numpy.core.numeric _frombuffer": _from_buffer,
    "numpy ndarray": _new_array,
    "numpy matrix": _new_array,
    "numpy.matrixlib.defmatrix matrix": _new_array,
    "numpy dtype": _Dtype,
    "_codecs encode": _encode,
    "__builtin__ bytes": lambda: b"",
    "__builtin__ object": lambda: None,
    "__builtin__ set": _members,
    "copy_reg _reconstructor": _reconstructor,
}
RENAMED = {"numpy._core": "numpy.core", "builtins": "__builtin__", "copyreg": "copy_reg"}
NUMBERS = ("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT")
TEXTS = ("STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8")
BYTES = ("BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8")
LITERALS = frozenset(NUMBERS + TEXTS + BYTES)
CONSTANTS: dict[str, Callable[[], object]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_LIST": list,
    "EMPTY_TUPLE": tuple,
    "EMPTY_DICT": dict,
    "EMPTY_SET": list,
    "MARK": _Mark,
}
OPCODES = {opcode.code: opcode for opcode in pickletools.opcodes}


def _instructions(data: bytes) -> Iterator[tuple[str, Any]]:
    """Name and argument of every instruction up to STOP."""
    stream, name = BytesIO(data), ""
    while name != "STOP":
        opcode = OPCODES.get(stream.read(1).decode("latin-1"))
        if opcode is None:
            raise Refused("an unknown instruction, or no end")
        name = opcode.name
        if name == "STRING":  # pickletools reads ASCII alone, Python 2 wrote arrays so
            yield name, _unquoted(stream.readline())
        else:
            yield name, opcode.arg.reader(stream) if opcode.arg else None


def _unquoted(line: bytes) -> str:
    """The text of a literal of Python 2 in quotes; characters have the numbers of its bytes."""
    quoted = line.rstrip(b"\r\n")
    if len(quoted) < 2 or quoted[:1] not in (b"'", b'"') or quoted[-1:] != quoted[:1]:
        raise Refused("text without quotes")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of escapes that do not exist
        return codecs.escape_decode(quoted[1:-1])[0].decode("latin-1")


class _Machine:
    """The stack and the memory of a pickle, and what each instruction does to them."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.memo: dict[int, object] = {}
        self.budget = 0

    def run(self, data: bytes) -> object:
        """Follow the instructions to the last one; Refused when one is not allowed."""
        self.budget = len(data) + SLACK_BYTES
        for count, (name, argument) in enumerate(_instructions(data)):
            if count >= MAX_INSTRUCTIONS:
                raise Refused(f"more than {MAX_INSTRUCTIONS} instructions")
            if name in LITERALS:
                self.stack.append(argument)
            elif name in CONSTANTS:
                self.stack.append(CONSTANTS[name]())
            elif name in OPERATIONS:
                OPERATIONS[name](self, argument)
            else:
                raise Refused(f"the instruction {name}")
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
        """Add items to the list, or the members of a set, on top."""
        if not isinstance(self.stack[-1], list):
            raise Refused("an addition to what is no list")
        self.stack[-1].extend(items)

    def update(self, items: tuple[Any, ...]) -> None:
        """Add keys and values, in turn, to the dictionary on top."""
        keys, found = items[::2], self.stack[-1]
        if not isinstance(found, dict) or len(items) % 2 or not all(isinstance(key, str | int) for key in keys):
            raise Refused("a dictionary whose keys are neither text nor numbers")
        found.update(zip(keys, items[1::2], strict=True))

    def make_dict(self, items: tuple[Any, ...]) -> None:
        """Push a dictionary of keys and values in turn."""
        self.stack.append({})
        self.update(items)

    def name(self, module: object, name: object) -> None:
        """Push our own function for one of the known names, or what makes stubs."""
        wanted = f"{module} {name}"
        for newer, older in RENAMED.items():
            if wanted.startswith((f"{newer} ", f"{newer}.")):
                wanted = older + wanted[len(newer) :]
        if wanted in NAMES:
            self.stack.append(NAMES[wanted])
        elif STUBBED.fullmatch(wanted):
            self.stack.append(_StubClass(wanted))
        else:
            raise Refused(f"the name {f'{module} {name}'[:80]!r}, which could run code")

    def call(self) -> None:
        """Push the result of one of our own functions."""
        function, arguments = self.take(2)
        is_known = isinstance(function, _StubClass) or any(function is known for known in NAMES.values())
        if not isinstance(arguments, tuple) or not is_known:
            raise Refused("a call of what makes no array")
        made = function(*arguments)
        self.stack.append(made)
        self.spend(made)

    def new(self) -> None:
        """Push a stub: how protocol 2 begins an object."""
        kind, _ = self.take(2)
        self.stack.append(_reconstructor(kind))

    def build(self) -> None:
        """Fill the array or the stub, or complete the array type, on top."""
        (state,) = self.take(1)
        match self.stack[-1], state:
            case np.ndarray() as array, _:
                _fill_array(array, state)
                self.spend(array)
            case _Dtype() as kind, _:
                kind.build(state)
            case Stub() as stub, dict():
                stub.state.update(state)
            case _:
                raise Refused("a state of what is no array")

    def spend(self, made: object) -> None:
        """Pickles do not compress: whatever makes more than the file holds makes it of the same bytes again."""
        self.budget -= made.nbytes if isinstance(made, np.ndarray) else len(made) if isinstance(made, bytes) else 0
        if self.budget < 0:
            raise Refused("arrays larger than the file")


OPERATIONS: dict[str, Callable[[_Machine, Any], None]] = {
    **dict.fromkeys(("PROTO", "FRAME", "STOP"), _Machine.ignore),
    **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"), _Machine.put),
    **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), _Machine.get),
    "TUPLE1": lambda machine, _: machine.stack.append(machine.take(1)),
    "TUPLE2": lambda machine, _: machine.stack.append(machine.take(2)),
    "TUPLE3": lambda machine, _: machine.stack.append(machine.take(3)),
    "TUPLE": lambda machine, _: machine.stack.append(machine.take_to_mark()),
    "LIST": lambda machine, _: machine.stack.append(list(machine.take_to_mark())),
    "FROZENSET": lambda machine, _: machine.stack.append(list(machine.take_to_mark())),
    "DICT": lambda machine, _: machine.make_dict(machine.take_to_mark()),
    "APPEND": lambda machine, _: machine.extend(machine.take(1)),
    "APPENDS": lambda machine, _: machine.extend(machine.take_to_mark()),
    "ADDITEMS": lambda machine, _: machine.extend(machine.take_to_mark()),
    "SETITEM": lambda machine, _: machine.update(machine.take(2)),
    "SETITEMS": lambda machine, _: machine.update(machine.take_to_mark()),
    "GLOBAL": lambda machine, argument: machine.name(*argument.split(" ", 1)),
    "STACK_GLOBAL": lambda machine, _: machine.name(*machine.take(2)),
    "REDUCE": lambda machine, _: machine.call(),
    "NEWOBJ": lambda machine, _: machine.new(),
    "BUILD": lambda machine, _: machine.build(),
}


def unpickle(data: bytes) -> object:
    """What the pickle ``data``, of any protocol, holds, without running anything that it names.

    Numbers, text, bytes, lists (of sets, too), tuples, dictionaries, arrays and stubs; their types and nesting are
    whatever the file says, so callers check them. The bytes of Python 2's strings come as the characters of the same
    numbers. Raises Refused for a pickle that asks for more than that, or is broken.
    """
    try:
        return _Machine().run(data)
    except (ValueError, TypeError, IndexError, KeyError, OverflowError, MemoryError) as error:
        raise Refused(str(error)) from error
