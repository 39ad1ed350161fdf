"""The interpreter of pickles: what could run code is refused, objects that it knows become inert."""

import os
from pathlib import Path

import numpy as np
import pytest

from avatar.restricted_pickle import Refused, Stub, unpickle

REFUSED = {
    "os.system": b"cos\nsystem\n(Vtouch marker\ntR.",
    "builtins.eval": b"\x80\x04\x8c\x08builtins\x8c\x04eval\x93\x8c\x15open('marker', 'w+b')\x85R.",
    "a reduce within a reduce": b"cnumpy\nndarray\n(cos\nsystem\n(Vtouch marker\ntRtR.",
    "a state that calls": b"\x80\x02cchumpy.ch\nCh\n)\x81}(U\x01xcos\nsystem\nU\x0ctouch marker\x85Rub.",
    "a dotted name": b"\x80\x04\x8c\x06chumpy\x8c\x0ach.os.call\x93.",
    "another module": b"cchumpyx.ch\nCh\n.",
    "another class of SciPy": b"cscipy.sparse\nlil_matrix\n.",
    "an object of a function": b"\x80\x02c_codecs\nencode\n)\x81.",
    "a reconstructed function": b"ccopy_reg\n_reconstructor\n(cnumpy\nndarray\nc__builtin__\nobject\nNtR.",
    "a million bytes": b"c__builtin__\nbytearray\n(I1000000000000\ntR.",
    "an object of Python objects": b"cnumpy\nndarray\n(tR(I1\n(I1\ntcnumpy\ndtype\n(VO8\ntRI00\nVx\ntb.",
    "keys that are lists": b"\x80\x02}]K\x01s.",
    "a state that is no table": b"\x80\x02cchumpy.ch\nCh\n)\x81K\x01b.",
    "a string without an end": b"S'abc\n.",
    "nothing": b"",
}


@pytest.mark.parametrize("name", REFUSED)
def test_programs_and_fragments_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Refused):
        unpickle(REFUSED[name])
    assert not os.listdir(tmp_path), "nothing has run"


def test_objects_become_stubs() -> None:
    stub = unpickle(b"\x80\x02cchumpy.ch\nCh\nq\x00)\x81q\x01}q\x02U\x01xq\x03K\x07sb.")
    assert isinstance(stub, Stub)
    assert (stub.kind, stub.state) == ("chumpy.ch Ch", {"x": 7})
    older = unpickle(b"ccopy_reg\n_reconstructor\n(cchumpy.ch\nCh\nc__builtin__\nobject\nNtR(S'x'\nI7\ndb.")
    assert isinstance(older, Stub)
    assert (older.kind, older.state) == ("chumpy.ch Ch", {"x": 7})


def test_strings_of_python_2_keep_their_bytes() -> None:
    assert unpickle(b"S'a\\x00\\xff\\n\\''\n.") == "a\0\xff\n'"
    assert unpickle(b"U\x02\xff\x00.") == "\xff\0"


def test_the_same_bytes_do_not_become_ever_more_arrays() -> None:
    """One string of a megabyte, and four thousand arrays of it."""
    size = 2**20
    text = b"T" + size.to_bytes(4, "little") + bytes(size) + b"q\x00"
    array = b"cnumpy\nndarray\n)R(K\x01J" + size.to_bytes(4, "little") + b"\x85cnumpy\ndtype\nU\x02u1\x85RK\x00h\x00tb"
    once = unpickle(b"\x80\x02" + text + array + b".")
    assert isinstance(once, np.ndarray)
    assert once.shape == (size,)
    with pytest.raises(Refused, match="larger than the file"):
        unpickle(b"\x80\x02" + text + 4000 * array + b".")
