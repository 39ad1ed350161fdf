import pytest
import torch

from avatar.geometry import matrices_from_quats
from avatar.motion import MotionError, read_clip_bytes

CHAIN = """HIERARCHY
ROOT hips
{
  OFFSET 0 0 0
  CHANNELS 6 Xposition Yposition Zposition Zrotation Yrotation Xrotation
  JOINT L Knee
  {
    OFFSET 0 1 0
    CHANNELS 3 Zrotation Yrotation Xrotation
    End Site
    {
      OFFSET 0 1 0
    }
  }
}
MOTION
Frames: 2
Frame Time: .0083333
1 2 3 90 0 0 0 0 90
0 0 0 90 90 90 0 0 0
"""


def clip_of(text: str):
    return read_clip_bytes("chain.bvh", text.encode())


def test_channels_turn_in_the_order_they_are_listed_in():
    clip = clip_of(CHAIN)
    assert clip.skeleton.joint_names == ("hips", "L Knee")
    assert clip.skeleton.parents == (-1, 0)
    assert clip.frame_rate_hz == 120
    # y up in the file is z up here: (x, y, z) becomes (x, -z, y)
    unit_m = float(clip.skeleton.joints_rest[1, 2])
    expected = torch.tensor([1.0, -3.0, 2.0], dtype=torch.float64) * unit_m
    torch.testing.assert_close(clip.root_position_world[0], expected)
    x_to_z = torch.tensor([[0.0, 0, -1], [0, 1, 0], [1, 0, 0]], dtype=torch.float64)
    torch.testing.assert_close(matrices_from_quats(clip.local_quats[0, 0]), x_to_z)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("HIERARCHY", "HELLO", "HIERARCHY"),
        ("OFFSET 0 1 0", "OFFSET 0 1,5 0", "1,5"),
        ("Frames: 2", "Frames: 3", "ends early"),
        ("Frames: 2", "Frames: 999999999", "at most"),
        ("Frame Time: .0083333", "Frame Time: 0", "Frame Time"),
        ("90 90 90", "90 nan 90", "nan"),
    ],
)
def test_a_broken_file_is_named_and_told_why(old: str, new: str, says: str):
    with pytest.raises(MotionError, match=f"chain.bvh: .*{says}"):
        clip_of(CHAIN.replace(old, new, 1))
