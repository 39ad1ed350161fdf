"""Read the dictionary in an ``annots.npy``, which is a pickle, without being able to run code."""

from pathlib import Path

import numpy as np

from avatar.restricted_pickle import unpickle

from .errors import CaptureError
from .files import npy_header, read_bytes


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
        array = unpickle(data[header.offset :])
    except ValueError as error:
        raise CaptureError(path, f"is broken or no plain table of numbers and text: {error}; save it again") from error
    value = array.item() if isinstance(array, np.ndarray) and array.shape == () else None
    if not isinstance(value, dict):
        raise CaptureError(path, "expected a saved dictionary; write it with numpy.save(path, dictionary)")
    return value
