"""Open a capture with the default body model: what the capture and body rooms make together."""

from pathlib import Path

from avatar.body import load_body
from avatar.capture import PictureConfig, read_capture
from avatar.structs import Capture


def open_capture(folder: Path, split: str | None = None, pictures: PictureConfig | None = None) -> Capture:
    """The capture in ``folder``; with ``split``, the pictures of that split must all be there.

    Raises FileNotFoundError or ValueError with one line that names the file and says what to do.
    """
    return read_capture(folder, split=split, pictures=pictures, pose_from_local_ref=load_body().pose_from_local_ref)
