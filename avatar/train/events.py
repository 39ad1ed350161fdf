"""The run's diary: one JSON object a line."""

import json
from pathlib import Path
from typing import Any

from avatar.atomic import replacing


class Events:
    """Appends rows to ``events.jsonl``; rows later than the step a run resumes from are dropped."""

    def __init__(self, path: Path, resume_step: int) -> None:
        self.path = path
        kept = [row for row in read_events(path) if row.get("step", 0) <= resume_step] if resume_step else []
        with replacing(path) as temporary:
            temporary.write_text("".join(json.dumps(row) + "\n" for row in kept))

    def add(self, **row: Any) -> None:
        """Append one row."""
        with self.path.open("a") as file:
            file.write(json.dumps(row) + "\n")


def read_events(path: Path) -> list[dict[str, Any]]:
    """All complete rows; a last line cut off by a crash is left out, a missing file is empty."""
    if not path.is_file():
        return []
    rows = []
    for line in path.read_text().splitlines():
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return rows
