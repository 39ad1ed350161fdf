"""The stage in which pictures of a board, one folder a camera, are asked about the calibration of a capture."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from avatar.capture.calibration import Calibration

from .boards import Board, check_calibration, one_lens
from .match import match_cameras
from .sources import find_sources
from .stages import Work
from .stored import Arrays, key_of, stored


@dataclass(frozen=True, kw_only=True)
class BoardPictures:
    """Pictures or a video of a board for each camera, in folders or files called like the cameras."""

    folder: Path
    board: Board


def board_notes(work: Work, pictures: BoardPictures, calibrations: Sequence[Calibration]) -> tuple[str, ...]:
    """What the board contradicts in the calibrations, a sentence each, of pictures of the calibrated size.

    Raises as ``check_calibration`` and ``find_sources``.
    """
    match = match_cameras(find_sources(pictures.folder, 1.0), calibrations)

    def notes() -> Arrays:
        films = {lens.name: (frame.picture for frame in source.frames()) for source, lens in match.pairs}
        work.notify("boards", 0, 1, str(pictures.board))
        checks = check_calibration([lens for _, lens in match.pairs], films, pictures.board)
        told = [sentence for check in checks if check.faults or not check.fit for sentence in check.sentences]
        return {"notes": np.array([*told, *one_lens(checks, calibrations)], dtype=np.str_)}

    facts = [asdict(lens) for lens in calibrations]
    key = key_of("boards", [source.fingerprint() for source, _ in match.pairs], facts, str(pictures.board))
    found = stored(work.path("boards", "boards"), key, notes, lambda kept: tuple(map(str, kept["notes"])))
    work.notify("boards", 1, 1, str(pictures.board))
    return found
