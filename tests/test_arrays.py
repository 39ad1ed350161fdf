"""Bytes of NumPy's files; what their readers refuse is tested with those of captures and motions."""

import io
from typing import Any

import numpy as np
import pytest

from avatar.arrays import ArrayFileError, unpack_npz, unzip


def packed(**arrays: Any) -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    return file.getvalue()


def test_only_wanted_members_are_opened():
    content = packed(poses=np.arange(6.0).reshape(2, 3), labels=np.array([{}], dtype=object))
    assert list(unpack_npz(content, 1000, ("poses", "trans"))) == ["poses"]
    np.testing.assert_array_equal(unpack_npz(content, 1000, ("poses",))["poses"], np.arange(6.0).reshape(2, 3))
    with pytest.raises(ArrayFileError, match=r"'labels\.npy'\] holds Python objects"):
        unpack_npz(content, 10_000)


def test_the_bound_is_on_what_is_wanted():
    content = packed(small=np.zeros(4), large=np.zeros(10_000))
    assert unpack_npz(content, 1000, ("small",))["small"].shape == (4,)
    with pytest.raises(ArrayFileError, match="unpacks 1 members to 80128 bytes; at most 1000 are read"):
        unpack_npz(content, 1000, ("large",))
    assert unzip(content, 1000, lambda name: False) == {}
