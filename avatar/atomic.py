"""Files and folders that appear whole or not at all."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from os import getpid
from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary name beside ``path`` to write to: on success it becomes ``path``, on failure it is removed.

    It keeps the suffix, by which some writers choose their format. Missing parent folders are made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}.{getpid()}{path.suffix}")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """A temporary folder beside ``path`` to write to: on success it becomes ``path``, on failure it is removed.

    ValueError when there is something at ``path`` but an empty folder. Missing parent folders are made.
    """
    check_empty(path)
    path = path.resolve()
    temporary = path.with_name(f".{path.name}.{getpid()}")
    temporary.mkdir(parents=True)
    try:
        yield temporary
        if path.exists():
            path.rmdir()
        temporary.replace(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def check_empty(path: Path) -> None:
    """ValueError when there is something at ``path`` but an empty folder."""
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise ValueError(f"{path}: expected a new or empty folder; choose another or empty it")
