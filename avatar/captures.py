"""Open a capture with the default body model: what the capture and body rooms make together."""

from collections.abc import Collection
from pathlib import Path

from avatar.body import RIGS, load_body
from avatar.capture import PictureConfig, read_capture
from avatar.structs import Capture


def open_capture(
    folder: Path,
    split: str | None = None,
    pictures: PictureConfig | None = None,
    rigs: Collection[str] = RIGS,
) -> Capture:
    """The capture in ``folder``, whose body is ``load_body(capture.rig)``.

    With ``split``, the pictures of that split must all be there. An exact body is read if its skeleton is one of
    ``rigs``, else the one of the default rig. Raises FileNotFoundError or ValueError with one line that names the file
    and says what to do.
    """
    from_local_ref = load_body().pose_from_local_ref
    capture = read_capture(folder, split=split, pictures=pictures, pose_from_local_ref=from_local_ref, rigs=rigs)
    try:
        load_body(capture.rig).shaped(capture.shape).posed(capture.pose(0))
    except ValueError as error:
        raise ValueError(f"{folder}: its body parameters do not fit the body model: {error}") from error
    return capture
