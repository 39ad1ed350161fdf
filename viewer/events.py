"""The diary of a run, ``events.jsonl``, read while a fit writes it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

MOST_BYTES = 16 * 2**20  # of the diary that are read at once, the last ones

Row = Mapping[str, int | float | str]


@dataclass(frozen=True, kw_only=True)
class Diary:
    """How far a diary was read. A file that is shorter than that was begun anew, and is read from its start."""

    path: Path
    place: int = 0

    def read(self) -> tuple[list[Row], "Diary"]:
        """The complete rows that follow, and where to go on. No file: no rows."""
        try:
            with self.path.open("rb") as file:
                size = file.seek(0, 2)
                start = self.place if self.place <= size else 0
                file.seek(max(start, size - MOST_BYTES))
                data = file.read(MOST_BYTES)
        except FileNotFoundError:
            return [], Diary(path=self.path)
        whole = data[: data.rfind(b"\n") + 1]
        end = max(start, size - MOST_BYTES) + len(whole)
        rows = [row for line in whole.splitlines() if (row := _row(line))]
        return rows, Diary(path=self.path, place=end)


def _row(line: bytes) -> Row:
    """The numbers and words of a line; nothing where it is damaged."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return {key: value for key, value in row.items() if _is_plain(value)} if isinstance(row, dict) else {}


def _is_plain(value: object) -> bool:
    if isinstance(value, str):
        return True
    return isinstance(value, int | float) and not isinstance(value, bool) and -1e300 < value < 1e300


def last_step(rows: list[Row]) -> int:
    """The last step that rows tell of; 0 without."""
    return next((int(step) for row in reversed(rows) if isinstance(step := row.get("step"), int | float)), 0)
