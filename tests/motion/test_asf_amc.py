"""CMU's files, by numbers worked by hand."""

import io
import math
import zipfile
from pathlib import Path

import pytest
import torch

from avatar.geometry import forward_kinematics, matrices_from_quats, transform_points
from avatar.motion import MotionError, read_clip, read_clip_bytes

ASF = """# a leg and a spine of CMU's subject 12
:version 1.10
:name VICON
:units
  mass 1.0
  length 0.45
  angle deg
:documentation
  .ast/.asf automatically generated
:root
  order TX TY TZ RX RY RZ
  axis XYZ
  position 0 0 0
  orientation 0 0 0
:bonedata
  begin
    id 1
    name lhipjoint
    direction 1 0 0
    length 2
    axis 0 0 0 XYZ
  end
  begin
    id 2
    name lfemur
    direction 0 -1 0
    length 7.59371
    axis 0 0 20 XYZ
    dof rx ry rz
    limits (-160.0 20.0)
           (-70.0 70.0)
           (-60.0 inf)
  end
  begin
    id 3
    name ltibia
    direction 0 -1 0
    length 7
    axis 90 0 0 XYZ
    dof rz
  end
:hierarchy
  begin
    root lhipjoint
    lhipjoint lfemur
    lfemur ltibia
  end
"""
AMC = """#!OML:ASF F:VICON
:FULLY-SPECIFIED
:DEGREES
1
root 1 2 3 0 90 0
lfemur 0 0 90
ltibia 0
2
root 0 0 0 0 0 0
lfemur 30 40 50
ltibia 90
"""
UNIT_M = 0.0254 / 0.45


def packed(asf: str = ASF, amc: str = AMC) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("12.asf", asf)
        archive.writestr("12_01.amc", amc)
    return file.getvalue()


def house(x: float, y: float, z: float) -> torch.Tensor:
    """The file's y is up."""
    return torch.tensor([x, -z, y], dtype=torch.float64)


def about(axis: str, degrees: float) -> torch.Tensor:
    one, two = (("y", "z"), ("z", "x"), ("x", "y"))["xyz".index(axis)]
    matrix = torch.eye(3, dtype=torch.float64)
    row, column = "xyz".index(one), "xyz".index(two)
    matrix[row, row] = matrix[column, column] = math.cos(math.radians(degrees))
    matrix[column, row] = math.sin(math.radians(degrees))
    matrix[row, column] = -matrix[column, row]
    return matrix


def test_lengths_are_in_cmus_unit():
    rest = read_clip_bytes("12.zip", packed()).skeleton.joints_rest
    assert rest[3].sub(rest[2]).norm().item() == pytest.approx(0.4286, abs=5e-5)
    torch.testing.assert_close(rest[2], house(2 * UNIT_M, 0, 0))


def test_bones_turn_about_their_axes():
    clip = read_clip_bytes("12.zip", packed())
    assert (clip.skeleton.joint_names, clip.frame_rate_hz) == (("root", "lhipjoint", "lfemur", "ltibia"), 120.0)
    torch.testing.assert_close(clip.root_position_world[0], house(1, 2, 3) * UNIT_M)
    posed = forward_kinematics(
        clip.skeleton.parents, clip.skeleton.joints_rest, clip.local_quats, clip.root_position_world
    )
    knee = transform_points(posed, clip.skeleton.joints_rest)[0, 3]
    # the femur's turn by 90 about z lets it point to +x, and the root's by 90 about y then to -z
    torch.testing.assert_close(knee, house(1, 2, 3 - 2 - 7.59371) * UNIT_M)


def test_the_first_angle_is_applied_first():
    turns = matrices_from_quats(read_clip_bytes("12.zip", packed()).local_quats)[1]
    to_house = torch.stack([house(1, 0, 0), house(0, 1, 0), house(0, 0, 1)], 1)
    axis = about("z", 20)
    femur = axis @ about("z", 50) @ about("y", 40) @ about("x", 30) @ axis.T
    torch.testing.assert_close(turns[2], to_house @ femur @ to_house.T)
    tibia = about("x", 90) @ about("z", 90) @ about("x", -90)
    torch.testing.assert_close(turns[3], to_house @ tibia @ to_house.T)


def test_a_motion_finds_its_skeleton(tmp_path: Path):
    (tmp_path / "12.asf").write_text(ASF)
    (tmp_path / "12_01.amc").write_text(AMC)
    beside = read_clip(tmp_path / "12_01.amc")
    assert torch.equal(beside.local_quats, read_clip_bytes("12.zip", packed()).local_quats)
    (tmp_path / "12.asf").unlink()
    with pytest.raises(MotionError, match=r"12_01\.amc: needs its skeleton beside it: 12\.asf"):
        read_clip(tmp_path / "12_01.amc")


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("root lhipjoint\n", "lfemur lhipjoint\n", "nothing hangs from the root"),
        ("lfemur ltibia\n", "lfemur ltibia ltibia\n", "cannot be the parent"),
        ("dof rx ry rz", "dof rx ry rx", "dof: expected different ones"),
        ("length 0.45", "length 0", "unit above 0"),
        ("lfemur 0 0 90", "lfemur 0 0", "expected 3 numbers of 'lfemur'"),
        ("ltibia 0\n", "", "expected one line of each bone, not so of 'ltibia'"),
        ("lfemur 30 40 50", "lfemur 30 40 inf", "finite"),
        (":DEGREES", ":RADIANS", "radians"),
    ],
)
def test_a_broken_pair_is_named_and_told_why(old: str, new: str, says: str):
    assert old in ASF + AMC
    with pytest.raises(MotionError, match=f"12.zip.*: .*{says}"):
        read_clip_bytes("12.zip", packed(ASF.replace(old, new, 1), AMC.replace(old, new, 1)))


def test_half_a_pair_is_not_enough():
    with pytest.raises(MotionError, match=r"12_01\.amc: .* into one \.zip"):
        read_clip_bytes("12_01.amc", AMC.encode())
