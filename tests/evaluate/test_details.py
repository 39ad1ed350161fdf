"""Close-ups are of what their names say, in the example that shows most of it."""

import torch

from avatar.evaluate import Example, ImageResult, with_details
from avatar.model import HybridAvatar
from avatar.structs import Capture


def example(camera_id: int) -> Example:
    picture = torch.zeros(256, 256, 3)
    result = ImageResult(frame_id=0, camera_id=camera_id, camera=f"orbit_{camera_id}", seconds=0.0, metrics={})
    return Example(
        split="test", label="", result=result, truth=picture, prediction=picture, is_foreground=picture[..., 0] > 0
    )


def test_each_place_is_shown_once_where_it_is_seen(person: HybridAvatar, unpictured: Capture) -> None:
    back, front = with_details(person, unpictured, [example(2), example(0)])
    shown = [*back.details, *front.details]
    assert len(shown) == len(set(shown))
    assert "face" in front.details
    assert {"left sleeve", "right sleeve", "hem"} <= set(shown)
    face, hem = front.details["face"], {**back.details, **front.details}["hem"]
    assert face.bottom < hem.top
    assert face.left < 128 < face.right
    sleeve = {**back.details, **front.details}["left sleeve"]
    is_right_in_picture = (sleeve.left + sleeve.right) / 2 > 128
    assert is_right_in_picture == ("left sleeve" in front.details), "from the front the person's left is on the right"
