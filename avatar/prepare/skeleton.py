"""The landmarks of BlazePose: their names, which are each other's mirror image, and the bones between them."""

from typing import Final

NAMES: Final = (
    *("nose", "left_eye_inner", "left_eye", "left_eye_outer", "right_eye_inner", "right_eye", "right_eye_outer"),
    *("left_ear", "right_ear", "mouth_left", "mouth_right", "left_shoulder", "right_shoulder", "left_elbow"),
    *("right_elbow", "left_wrist", "right_wrist", "left_pinky", "right_pinky", "left_index", "right_index"),
    *("left_thumb", "right_thumb", "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle", "right_ankle"),
    *("left_heel", "right_heel", "left_foot_index", "right_foot_index"),
)
NUM_LANDMARKS: Final = len(NAMES)


def _mirrored(name: str) -> str:
    swap = {"left": "right", "right": "left"}
    return "_".join(swap.get(word, word) for word in name.split("_"))


# For each landmark the one on the other side; itself in the middle.
MIRROR: Final = tuple(NAMES.index(_mirrored(name)) for name in NAMES)
# What a landmarker confuses as a whole when it takes the left for the right.
SWAP_GROUPS: Final = {"head": range(1, 11), "arms": range(11, 23), "legs": range(23, 33)}
# The corners of the trunk.
TORSO: Final = [NAMES.index(f"{side}_{joint}") for joint in ("shoulder", "hip") for side in ("left", "right")]
# Pairs whose distance does not change as a person moves.
BONES: Final = tuple(
    (NAMES.index(f"{side}_{start}"), NAMES.index(f"{side}_{end}"))
    for side in ("left", "right")
    for start, end in (("shoulder", "elbow"), ("elbow", "wrist"), ("hip", "knee"), ("knee", "ankle"))
) + tuple((NAMES.index(f"left_{joint}"), NAMES.index(f"right_{joint}")) for joint in ("shoulder", "hip"))
