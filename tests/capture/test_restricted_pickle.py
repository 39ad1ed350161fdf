"""The reader of pickled tables: what NumPy writes comes back, what could run code is refused."""

import io
from pathlib import Path

import numpy as np
import pytest

from avatar.capture import CaptureError, load_npy_dict

# {"x": array([[1.0, 2.0]]), "n": [float64(0.5)], "s": "é"} as NumPy 2.4 stores it with protocols 0, 2 and 5.
GOLDEN = {
    0: (
        b"cnumpy._core.multiarray\n_reconstruct\np0\n(cnumpy\nndarray\np1\n(I0\ntp2\nc_codecs\nencode\np3\n(Vb"
        b"\np4\nVlatin1\np5\ntp6\nRp7\ntp8\nRp9\n(I1\n(tcnumpy\ndtype\np10\n(VO8\np11\nI00\nI01\ntp12\nRp13\n(I"
        b"3\nV|\np14\nNNNI-1\nI-1\nI63\ntp15\nbI00\n(lp16\n(dp17\nVx\np18\ng0\n(g1\n(I0\ntp19\ng7\ntp20\nRp21\n"
        b"(I1\n(I1\nI2\ntp22\ng10\n(Vf8\np23\nI00\nI01\ntp24\nRp25\n(I3\nV<\np26\nNNNI-1\nI-1\nI0\ntp27\nbI00\n"
        b"g3\n(V\\u0000\\u0000\\u0000\\u0000\\u0000\\u0000\xf0?\\u0000\\u0000\\u0000\\u0000\\u0000\\u0000\\u000"
        b"0@\np28\ng5\ntp29\nRp30\ntp31\nbsVn\np32\n(lp33\ncnumpy._core.multiarray\nscalar\np34\n(g25\ng3\n(V\\"
        b"u0000\\u0000\\u0000\\u0000\\u0000\\u0000\xe0?\np35\ng5\ntp36\nRp37\ntp38\nRp39\nasVs\np40\nV\xe9\np41"
        b"\nsatp42\nb."
    ),
    2: (
        b"\x80\x02cnumpy._core.multiarray\n_reconstruct\nq\x00cnumpy\nndarray\nq\x01K\x00\x85q\x02c_codecs\nenc"
        b"ode\nq\x03X\x01\x00\x00\x00bq\x04X\x06\x00\x00\x00latin1q\x05\x86q\x06Rq\x07\x87q\x08Rq\t(K\x01)cnump"
        b"y\ndtype\nq\nX\x02\x00\x00\x00O8q\x0b\x89\x88\x87q\x0cRq\r(K\x03X\x01\x00\x00\x00|q\x0eNNNJ\xff\xff"
        b"\xff\xffJ\xff\xff\xff\xffK?tq\x0fb\x89]q\x10}q\x11(X\x01\x00\x00\x00xq\x12h\x00h\x01K\x00\x85q\x13h"
        b"\x07\x87q\x14Rq\x15(K\x01K\x01K\x02\x86q\x16h\nX\x02\x00\x00\x00f8q\x17\x89\x88\x87q\x18Rq\x19(K\x03X"
        b"\x01\x00\x00\x00<q\x1aNNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tq\x1bb\x89h\x03X\x11\x00\x00\x00\x00"
        b"\x00\x00\x00\x00\x00\xc3\xb0?\x00\x00\x00\x00\x00\x00\x00@q\x1ch\x05\x86q\x1dRq\x1etq\x1fbX\x01\x00"
        b'\x00\x00nq ]q!cnumpy._core.multiarray\nscalar\nq"h\x19h\x03X\t\x00\x00\x00\x00\x00\x00\x00\x00\x00'
        b"\xc3\xa0?q#h\x05\x86q$Rq%\x86q&Rq'aX\x01\x00\x00\x00sq(X\x02\x00\x00\x00\xc3\xa9q)uatq*b."
    ),
    5: (
        b"\x80\x05\x951\x01\x00\x00\x00\x00\x00\x00\x8c\x16numpy._core.multiarray\x94\x8c\x0c_reconstruct\x94"
        b"\x93\x94\x8c\x05numpy\x94\x8c\x07ndarray\x94\x93\x94K\x00\x85\x94C\x01b\x94\x87\x94R\x94(K\x01)h\x03"
        b"\x8c\x05dtype\x94\x93\x94\x8c\x02O8\x94\x89\x88\x87\x94R\x94(K\x03\x8c\x01|\x94NNNJ\xff\xff\xff\xffJ"
        b"\xff\xff\xff\xffK?t\x94b\x89]\x94}\x94(\x8c\x01x\x94\x8c\x13numpy._core.numeric\x94\x8c\x0b_frombuffe"
        b"r\x94\x93\x94(\x96\x10\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xf0?\x00\x00\x00\x00\x00"
        b"\x00\x00@\x94h\x0b\x8c\x02f8\x94\x89\x88\x87\x94R\x94(K\x03\x8c\x01<\x94NNNJ\xff\xff\xff\xffJ\xff\xff"
        b"\xff\xffK\x00t\x94bK\x01K\x02\x86\x94\x8c\x01C\x94t\x94R\x94\x8c\x01n\x94]\x94h\x00\x8c\x06scalar\x94"
        b"\x93\x94h\x1aC\x08\x00\x00\x00\x00\x00\x00\xe0?\x94\x86\x94R\x94a\x8c\x01s\x94\x8c\x02\xc3\xa9\x94uat"
        b"\x94b."
    ),
}

REFUSED = {
    "os.system": b"cos\nsystem\n(Vtouch marker\ntR.",
    "posix.system by protocol 4": b"\x80\x04\x8c\x05posix\x8c\x06system\x93\x8c\x0ctouch marker\x85R.",
    "builtins.exec": b"c__builtin__\nexec\n(Vopen('marker', 'w')\ntR.",
    "eval within a list": b"](cbuiltins\neval\n(Vopen('marker', 'w')\ntRe.",
    "a dotted name": b"\x80\x04\x8c\x05numpy\x8c\x10core.os.system\x93\x8c\x0ctouch marker\x85R.",
    "an object by its class": b"\x80\x02cio\nFileIO\n(Vmarker\nVw\nt\x81.",
    "the class opcodes": b"(Vtouch marker\nios\nsystem\n.",
    "the object opcode": b"(cos\nsystem\nVtouch marker\no.",
    "an extension code": b"\x80\x02\x82\x01.",
    "a persistent id": b"Pmarker\n.",
    "a state for a function": b"cnumpy\nndarray\n}(V__code__\nI1\nub.",
    "a call of a number": b"I1\n(tR.",
    "another encoding": b"c_codecs\nencode\n(Vx\nVrot13\ntR.",
    "objects in a scalar": b"cnumpy.core.multiarray\nscalar\n(cnumpy\ndtype\n(VO8\ntRC\x08\0\0\0\0\0\0\0\0tR.",
    "a memory index": b"\x80\x02Nr\xff\xff\xff\xff.",
    "four gigabytes of text": b"\x80\x04\x8d\x00\x00\x00\x00\x01\x00\x00\x00x.",
    "no end": b"\x80\x04]",
    "nothing": b"",
}


def write(path: Path, pickled: bytes) -> Path:
    """An ``.npy`` file of a saved object with the given pickle."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|O", "fortran_order": False, "shape": ()})
    path.write_bytes(header.getvalue() + pickled)
    return path


@pytest.mark.parametrize("protocol", GOLDEN)
def test_every_protocol_gives_the_same_table(tmp_path: Path, protocol: int) -> None:
    loaded = load_npy_dict(write(tmp_path / "annots.npy", GOLDEN[protocol]))
    assert list(loaded) == ["x", "n", "s"]
    np.testing.assert_array_equal(loaded["x"], [[1.0, 2.0]])
    assert loaded["n"] == [0.5]
    assert loaded["s"] == "é"


def test_what_numpy_saves_comes_back(tmp_path: Path) -> None:
    table = {
        "fortran": np.arange(6.0).reshape(2, 3).T,
        "big endian": np.arange(3, dtype=">i4"),
        "text": np.array(["a", "bb"]),
        "objects": np.array([1, "x", None], dtype=object),
        "empty": np.zeros((0, 3)),
        "flag": np.bool(True),
        "nested": {"list": [1, (2, 3, 4, 5), {"deep": b"bytes"}], "long": 10**30, "real": -1e-3, "none": None},
    }
    np.save(tmp_path / "annots.npy", np.array(table), allow_pickle=True)
    loaded = load_npy_dict(tmp_path / "annots.npy")
    for key in ("fortran", "big endian", "text", "objects", "empty"):
        np.testing.assert_array_equal(loaded[key], table[key])
        assert np.asarray(loaded[key]).dtype.kind == np.asarray(table[key]).dtype.kind
    assert loaded["nested"] == table["nested"]
    assert bool(loaded["flag"]) is True


@pytest.mark.parametrize("name", REFUSED)
def test_programs_and_fragments_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    path = write(tmp_path / "annots.npy", REFUSED[name])
    with pytest.raises(CaptureError, match=r"annots\.npy") as caught:
        load_npy_dict(path)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "marker").exists()


def test_arrays_larger_than_their_bytes_are_refused(tmp_path: Path) -> None:
    lie = GOLDEN[5].replace(b"K\x01K\x02\x86", b"K\x01K\x03\x86")
    with pytest.raises(CaptureError, match="3 elements that holds 2"):
        load_npy_dict(write(tmp_path / "annots.npy", lie))


def test_endless_programs_end(tmp_path: Path) -> None:
    with pytest.raises(CaptureError, match="instructions"):
        load_npy_dict(write(tmp_path / "annots.npy", b"N" * 2_000_001 + b"."))


def test_plain_arrays_are_no_table(tmp_path: Path) -> None:
    np.save(tmp_path / "annots.npy", np.zeros(3))
    with pytest.raises(CaptureError, match="expected a saved dictionary"):
        load_npy_dict(tmp_path / "annots.npy")
