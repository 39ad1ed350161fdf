"""The one door for HDF5 files, which some sets keep pictures, masks and poses in. Needs the extra ``hdf5`` (h5py).

Nothing is followed out of the file (links to others, external and virtual storage), and sizes are known before memory
is taken.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import numpy as np

from .errors import CaptureError, MissingFileError
from .files import MAX_BYTES

NUMBERS = "biuf"
AGAIN = "copy it again"
# What h5py raises for damaged files.
BROKEN = (RuntimeError, OSError, ValueError, LookupError, TypeError, AttributeError, MemoryError)


def extra(name: Literal["h5py"]) -> ModuleType:
    """The optional package; ImportError with the pip line where it is missing."""
    try:
        return import_module(name)
    except ImportError as error:
        raise ImportError(f"{name}: cannot be imported ({error}): run `pip install 'avatar[hdf5]'`") from error


class Hdf5File:
    """An HDF5 file that is only read. Owns the open file; safe to share among threads."""

    def __init__(self, path: Path) -> None:
        """Raises MissingFileError or CaptureError for no such file, and ImportError without the extra."""
        if not path.is_file():
            raise MissingFileError(path, f"no such file; {AGAIN}")
        self.path = path
        try:
            self._file = extra("h5py").File(path, "r")
        except BROKEN as error:
            raise CaptureError(path, f"is no HDF5 file that can be opened ({error}); {AGAIN}") from error

    def names(self, group: str) -> list[str]:
        """What a group holds."""
        found = self._at(group)
        if not isinstance(found, extra("h5py").Group):
            raise CaptureError(self.path, f"{group}: expected a group; {AGAIN}")
        with self._reading(group):
            return list(found)

    def has(self, name: str) -> bool:
        """Whether there is something of this name."""
        with self._reading(name):
            return name in self._file

    def attribute(self, name: str) -> object:
        """A value that is attached to the file itself; None without."""
        with self._reading(name):
            return self._file.attrs.get(name)

    def shape(self, name: str) -> tuple[int, ...]:
        """How long the axes of an array are."""
        return tuple(int(length) for length in self._array(name).shape)

    def array(self, name: str, row: int | None = None) -> np.ndarray:
        """The numbers of an array, or of one of its rows. Raises CaptureError for more than 256 MB of them."""
        found = self._array(name)
        shape = found.shape if row is None else found.shape[1:]
        if row is not None and not (len(found.shape) and 0 <= row < found.shape[0]):
            raise CaptureError(self.path, f"{name}: has no row {row}, its shape is {found.shape}")
        stored = math.prod(found.chunks) if found.chunks else 0
        if max(math.prod(shape), stored) * found.dtype.itemsize > MAX_BYTES:
            raise CaptureError(self.path, f"{name}: has {shape} numbers; at most {MAX_BYTES} bytes are read")
        with self._reading(name):
            return np.asarray(found[()] if row is None else found[row])

    def _array(self, name: str) -> Any:
        found = self._at(name)
        with self._reading(name):
            is_array = isinstance(found, extra("h5py").Dataset) and found.dtype.kind in NUMBERS
            is_here = is_array and found.shape is not None and found.external is None and not found.is_virtual
        if not is_here:
            raise CaptureError(self.path, f"{name}: expected an array of numbers in this file; {AGAIN}")
        return found

    def _at(self, name: str) -> Any:
        """What a path of names leads to, without leaving the file."""
        place = self._file
        with self._reading(name):
            for part in name.split("/"):
                if not isinstance(place, extra("h5py").Group) or part not in place:
                    raise CaptureError(self.path, f"has no {name!r}; {AGAIN}")
                if not isinstance(place.get(part, getlink=True), extra("h5py").HardLink):
                    raise CaptureError(self.path, f"{name}: is a link, which is not followed")
                place = place[part]
        return place

    @contextmanager
    def _reading(self, name: str) -> Iterator[None]:
        """Whatever the library finds broken, in our words."""
        try:
            yield
        except CaptureError:
            raise
        except BROKEN as error:
            raise CaptureError(self.path, f"{name}: cannot be read ({error}); {AGAIN}") from error
