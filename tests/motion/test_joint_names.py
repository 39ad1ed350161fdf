"""Skeletons of other programs, each joint with its parent, and the parts that their names say."""

import pytest
import torch

from avatar.body import load_body
from avatar.motion import body_parts
from avatar.structs import Skeleton

CMU = """root lhipjoint:root lfemur:lhipjoint ltibia:lfemur lfoot:ltibia ltoes:lfoot rhipjoint:root rfemur:rhipjoint
rtibia:rfemur rfoot:rtibia rtoes:rfoot lowerback:root upperback:lowerback thorax:upperback lowerneck:thorax
upperneck:lowerneck head:upperneck lclavicle:thorax lhumerus:lclavicle lradius:lhumerus lwrist:lradius lhand:lwrist
lfingers:lhand lthumb:lwrist rclavicle:thorax rhumerus:rclavicle rradius:rhumerus"""
MIXAMO = """Armature mixamorig:Hips:Armature mixamorig:Spine:mixamorig:Hips mixamorig:Spine1:mixamorig:Spine
mixamorig:Spine2:mixamorig:Spine1 mixamorig:Neck:mixamorig:Spine2 mixamorig:Head:mixamorig:Neck
mixamorig:HeadTop_End:mixamorig:Head mixamorig:LeftShoulder:mixamorig:Spine2
mixamorig:LeftArm:mixamorig:LeftShoulder mixamorig:LeftForeArm:mixamorig:LeftArm
mixamorig:LeftHand:mixamorig:LeftForeArm mixamorig:LeftHandIndex1:mixamorig:LeftHand
mixamorig:LeftHandIndex2:mixamorig:LeftHandIndex1 mixamorig:LeftHandMiddle1:mixamorig:LeftHand
mixamorig:LeftUpLeg:mixamorig:Hips mixamorig:LeftLeg:mixamorig:LeftUpLeg mixamorig:LeftFoot:mixamorig:LeftLeg
mixamorig:LeftToeBase:mixamorig:LeftFoot mixamorig:RightUpLeg:mixamorig:Hips"""
SMPL = """pelvis left_hip:pelvis right_hip:pelvis spine1:pelvis left_knee:left_hip spine2:spine1 left_ankle:left_knee
left_foot:left_ankle neck:spine2 left_collar:spine2 head:neck left_shoulder:left_collar left_elbow:left_shoulder
left_wrist:left_elbow left_thumb1:left_wrist left_pinky1:left_wrist left_eye_smplhf:head jaw:head"""
UNREAL = """root pelvis:root spine_01:pelvis spine_02:spine_01 neck_01:spine_02 head:neck_01 clavicle_l:spine_02
upperarm_l:clavicle_l upperarm_twist_01_l:upperarm_l lowerarm_l:upperarm_l hand_l:lowerarm_l ik_hand_l:root
index_01_l:hand_l index_02_l:index_01_l middle_01_l:hand_l thigh_l:pelvis calf_l:thigh_l foot_l:calf_l ball_l:foot_l
thigh_r:pelvis"""
VRM = """J_Bip_C_Hips J_Bip_C_Spine:J_Bip_C_Hips J_Bip_C_UpperChest:J_Bip_C_Spine J_Bip_C_Neck:J_Bip_C_UpperChest
J_Bip_C_Head:J_Bip_C_Neck J_Bip_L_Shoulder:J_Bip_C_UpperChest J_Bip_L_UpperArm:J_Bip_L_Shoulder
J_Bip_L_LowerArm:J_Bip_L_UpperArm J_Bip_L_Hand:J_Bip_L_LowerArm J_Bip_L_Index1:J_Bip_L_Hand
J_Bip_L_Middle1:J_Bip_L_Hand J_Bip_L_UpperLeg:J_Bip_C_Hips J_Bip_L_LowerLeg:J_Bip_L_UpperLeg
J_Bip_L_Foot:J_Bip_L_LowerLeg J_Bip_L_ToeBase:J_Bip_L_Foot J_Bip_R_UpperLeg:J_Bip_C_Hips"""
UNITY = """hips spine:hips chest:spine neck:chest head:neck leftShoulder:chest leftUpperArm:leftShoulder
leftLowerArm:leftUpperArm leftHand:leftLowerArm leftThumbMetacarpal:leftHand leftThumbProximal:leftThumbMetacarpal
leftIndexProximal:leftHand leftIndexIntermediate:leftIndexProximal leftLittleProximal:leftHand leftUpperLeg:hips
leftLowerLeg:leftUpperLeg leftFoot:leftLowerLeg leftToes:leftFoot rightUpperLeg:hips"""
BIPED = """Bip01 Bip01_Pelvis:Bip01 Bip01_Spine:Bip01_Pelvis Bip01_Neck:Bip01_Spine Bip01_Head:Bip01_Neck
Bip01_L_Clavicle:Bip01_Neck Bip01_L_UpperArm:Bip01_L_Clavicle Bip01_L_Forearm:Bip01_L_UpperArm
Bip01_L_Hand:Bip01_L_Forearm Bip01_L_Finger0:Bip01_L_Hand Bip01_L_Finger01:Bip01_L_Finger0
Bip01_L_Finger2:Bip01_L_Hand Bip01_L_Thigh:Bip01_Pelvis Bip01_L_Calf:Bip01_L_Thigh Bip01_L_Foot:Bip01_L_Calf
Bip01_L_Toe0:Bip01_L_Foot Bip01_R_Thigh:Bip01_Pelvis"""
RIGIFY = """DEF-spine DEF-spine.001:DEF-spine DEF-spine.003:DEF-spine.001 DEF-spine.004:DEF-spine.003
DEF-spine.006:DEF-spine.004 DEF-shoulder.L:DEF-spine.003 DEF-upper_arm.L:DEF-shoulder.L
DEF-upper_arm.L.001:DEF-upper_arm.L DEF-forearm.L:DEF-upper_arm.L.001 DEF-hand.L:DEF-forearm.L
DEF-f_index.01.L:DEF-hand.L DEF-f_middle.01.L:DEF-hand.L DEF-thigh.L:DEF-spine DEF-shin.L:DEF-thigh.L
DEF-foot.L:DEF-shin.L DEF-toe.L:DEF-foot.L DEF-thigh.R:DEF-spine"""
LEG = ("left_upper_leg", "left_lower_leg", "left_foot", "left_toes")
ARM = ("left_clavicle", "left_upper_arm", "left_lower_arm", "left_hand")


def skeleton_of(text: str) -> Skeleton:
    """``joint:parent`` a word; a joint's own name may have a colon, as Mixamo's have."""
    names: list[str] = []
    parents: list[int] = []
    for word in text.split():
        parent = max(
            (row for row, name in enumerate(names) if word.endswith(f":{name}")),
            default=-1,
            key=lambda row: len(names[row]),
        )
        parents.append(parent)
        names.append(word.removesuffix(f":{names[parent]}") if parent >= 0 else word)
    return Skeleton(joint_names=tuple(names), parents=tuple(parents), joints_rest=torch.zeros(len(names), 3))


@pytest.mark.parametrize(
    ("text", "hips", "leg", "arm", "trunk"),
    [
        (
            CMU,
            "root",
            "lfemur ltibia lfoot ltoes",
            "lclavicle lhumerus lradius+lwrist lhand",
            "lowerback+upperback+thorax lowerneck+upperneck head",
        ),
        (
            MIXAMO,
            "Hips",
            "LeftUpLeg LeftLeg LeftFoot LeftToeBase",
            "LeftShoulder LeftArm LeftForeArm LeftHand",
            "Spine+Spine1+Spine2 Neck Head",
        ),
        (
            SMPL,
            "pelvis",
            "left_hip left_knee left_ankle left_foot",
            "left_collar left_shoulder left_elbow left_wrist",
            "spine1+spine2 neck head",
        ),
        (
            UNREAL,
            "pelvis",
            "thigh_l calf_l foot_l ball_l",
            "clavicle_l upperarm_l lowerarm_l hand_l",
            "spine_01+spine_02 neck_01 head",
        ),
        (
            VRM,
            "Hips",
            "UpperLeg LowerLeg Foot ToeBase",
            "Shoulder UpperArm LowerArm Hand",
            "Spine+UpperChest Neck Head",
        ),
        (
            UNITY,
            "hips",
            "leftUpperLeg leftLowerLeg leftFoot leftToes",
            "leftShoulder leftUpperArm leftLowerArm leftHand",
            "spine+chest neck head",
        ),
        (BIPED, "Pelvis", "Thigh Calf Foot Toe0", "Clavicle UpperArm Forearm Hand", "Spine Neck Head"),
        (
            RIGIFY,
            "spine",
            "thigh.L shin.L foot.L toe.L",
            "shoulder.L upper_arm.L+upper_arm.L.001 forearm.L hand.L",
            "spine.001+spine.003 spine.004 spine.006",
        ),
    ],
)
def test_names_of_other_programs(text: str, hips: str, leg: str, arm: str, trunk: str):
    skeleton = skeleton_of(text)
    parts = body_parts(skeleton)

    def name_of(part: str) -> str:
        first = [skeleton.joint_names[level[0]] for level in parts.get(part, [])]
        return "+".join(
            name.removeprefix("mixamorig:")
            .removeprefix("DEF-")
            .split("_L_")[-1]
            .split("_C_")[-1]
            .removeprefix("Bip01_")
            for name in first
        )

    assert name_of("hips") == hips
    assert " ".join(map(name_of, LEG)) == leg
    assert " ".join(map(name_of, ARM)) == arm
    assert " ".join(map(name_of, ("spine", "neck", "head"))) == trunk


def test_fingers_come_by_their_place_in_the_chain():
    unity = skeleton_of(UNITY)
    thumb = [unity.joint_names[level[0]] for level in body_parts(unity)["left_thumb"]]
    assert thumb == ["leftThumbMetacarpal", "leftThumbProximal"]
    biped = skeleton_of(BIPED)
    assert [biped.joint_names[level[0]] for level in body_parts(biped)["left_thumb"]] == [
        "Bip01_L_Finger0",
        "Bip01_L_Finger01",
    ]
    assert biped.joint_names[body_parts(biped)["left_middle"][0][0]] == "Bip01_L_Finger2"


@pytest.mark.parametrize(
    ("rig", "left_out"), [("anny", {f"metacarpal{n}.{s}" for n in range(1, 5) for s in "LR"}), ("cmu_mb", set())]
)
def test_every_joint_of_ours_but_the_palms_is_a_part(rig: str, left_out: set[str]):
    body = load_body(rig)
    rest = body.shaped(body.default_shape()).joints_rest
    parts = body_parts(Skeleton(joint_names=body.joint_names, parents=body.parents, joints_rest=rest))
    found = {body.joint_names[joint] for levels in parts.values() for level in levels for joint in level}
    assert set(body.joint_names) - found == left_out
    assert {name.replace("left", "right") for name in parts if name.startswith("left")} == {
        name for name in parts if name.startswith("right")
    }


def test_a_body_in_pieces_hangs_from_its_hips():
    pieces = skeleton_of("head hips left_thigh:hips right_thigh")
    assert body_parts(pieces) == {"hips": [[1]], "left_upper_leg": [[2]]}
