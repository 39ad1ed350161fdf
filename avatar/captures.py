"""Open a capture with the body model that fits it: what the capture and body rooms make together."""

from collections.abc import Collection
from pathlib import Path

from jaxtyping import Float
from torch import Tensor

from avatar.body import RIGS, SMPL_RIGS, installed_bodies, load_body
from avatar.capture import NO_BODY, PictureConfig, check_person, first_time_step, read_capture
from avatar.structs import Capture, Shape


def open_capture(
    folder: Path,
    split: str | None = None,
    pictures: PictureConfig | None = None,
    rigs: Collection[str] | None = None,
) -> Capture:
    """The capture in ``folder``, whose body is ``load_body(capture.rig)``.

    With ``split``, the pictures of that split must all be there. An exact body is read if its skeleton is one of
    ``rigs``, by default all that there are here, else the one of the default rig. The body of a published set must lie
    where its cameras see the person;
    it takes the body model, which users bring themselves. Raises FileNotFoundError or ValueError with one line that
    names the file and says what to do.
    """
    if rigs is None:  # where a body of the user's is missing, and nothing stands in for it, load_body says so
        rigs = (*RIGS, *(installed_bodies() if (folder / "body_default.npz").exists() else SMPL_RIGS))
    capture = read_capture(
        folder,
        split=split,
        pictures=pictures,
        pose_from_local_ref=load_body().pose_from_local_ref,
        root_at_rest=_root_at_rest,
        rigs=rigs,
    )
    if capture.rig == NO_BODY:
        raise ValueError(f"{folder}: has pictures but no body; fit one to them first")
    frame_id = first_time_step(capture)
    try:
        body = load_body(capture.rig).shaped(capture.shape).posed(capture.pose(frame_id))
    except ValueError as error:
        raise ValueError(f"{folder}: its body parameters do not fit the body model: {error}") from error
    if capture.rig.startswith("smpl"):
        check_person(capture, body, frame_id, folder)
    return capture


def _root_at_rest(rig: str, shape: Shape) -> Float[Tensor, "3"]:
    return load_body(rig).shaped(shape).joints_rest[0]
