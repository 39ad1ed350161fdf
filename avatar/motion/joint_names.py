"""Which part of a body a joint moves, from its name and its place in the tree.

Names of CMU (``lfemur``, ``LeftUpLeg``), MakeHuman (``upperleg01.L``), Mixamo (``mixamorig:LeftUpLeg``), SMPL
(``left_hip``), Unreal (``thigh_l``), VRM and Unity (``leftUpperLeg``), Biped (``Bip01 L Thigh``) and Blender
(``DEF-thigh.L``) are split into words, the side is taken out, and what is left is looked up.
"""

import re
from collections.abc import Iterable, Mapping, Sequence

from avatar.structs import Skeleton

Parts = Mapping[str, Sequence[Sequence[int]]]
"""For each part of the body the joints that move it, level by level from the body outwards."""

FINGERS = ("thumb", "index", "middle", "ring", "pinky")
SIDES = ("left", "right")

_PREFIX = re.compile(r"^(mixamorig\d*|bip\d+|valvebiped|j[_ ]bip|cc[_ ]base|def|character\d+)(?=[-_ .A-Z]|$)", re.I)
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_NO_JOINT = {"end", "tip", "nub", "site", "ik", "pole", "target", "mch", "org", "ctrl", "twist", "roll", "effector"}
_EMPTY_WORDS = {"joint", "bone", "jnt", "j", "c", "bip", "bind", "bend", "smplhf", "valvebiped", "mixamorig"}
_STEMS = {
    "hips": ("hips", "pelvis", "hip"),
    "spine": ("spine", "chest", "upperchest", "torso", "abdomen", "lowerback", "upperback", "thorax", "back", "waist"),
    "neck": ("neck", "lowerneck", "upperneck"),
    "head": ("head",),
    "jaw": ("jaw",),
    "eye": ("eye",),
    "clavicle": ("clavicle", "collar", "shoulder"),
    "upper_arm": ("arm", "upperarm", "uparm", "humerus"),
    "lower_arm": ("forearm", "lowerarm", "loarm", "radius", "elbow"),
    "hand": ("hand", "wrist", "fingerbase"),
    "fingers": ("fingers", "handfinger"),
    "upper_leg": ("upleg", "upperleg", "thigh", "femur"),
    "lower_leg": ("leg", "lowerleg", "loleg", "shin", "calf", "tibia", "knee"),
    "foot": ("foot", "ankle"),
    "toes": ("toe", "toes", "toebase", "ball"),
}
_PART_OF_STEM = {stem: part for part, stems in _STEMS.items() for stem in stems}
_UNSIDED = ("hips", "spine", "neck", "head", "jaw")
_FINGER = re.compile(
    r"(?:hand|f)?(thumb|index|middle|mid|ring|pinky|pinkie|little)(?:finger)?(proximal|intermediate|distal|metacarpal)?"
)
_FINGER_NAMES = {"mid": "middle", "pinkie": "pinky", "little": "pinky"}


def body_parts(skeleton: Skeleton) -> Parts:
    """The joints of each part of a body, by names such as ``spine`` and ``left_upper_arm``; others are left out.

    A part's first level are its joints closest to the body, its next level those of the same part below them. ``hips``
    is where legs and spine meet, whatever its name.
    """
    found = _resolved([_side_and_stem(name) for name in skeleton.joint_names])
    _split_spine(skeleton.parents, found)
    hips = _meeting_point(skeleton.parents, found)
    found = ["hips" if joint == hips else "pelvis" if part == "hips" else part for joint, part in enumerate(found)]
    is_below = [False] * len(found)
    parts: dict[str, list[list[int]]] = {}
    levels = [0] * len(found)
    for joint, (part, parent) in enumerate(zip(found, skeleton.parents, strict=True)):
        is_below[joint] = joint == hips or (parent >= 0 and is_below[parent])
        if part is None or not is_below[joint]:
            continue
        levels[joint] = _levels_above(joint, part, found, skeleton.parents)
        rows = parts.setdefault(part, [])
        rows.extend([] for _ in range(levels[joint] + 1 - len(rows)))
        rows[levels[joint]].append(joint)
    return {part: rows for part, rows in parts.items() if all(rows)}


def bare_part(part: str) -> str:
    """The name of a part without its side."""
    return part.removeprefix("left_").removeprefix("right_")


def _side_and_stem(name: str) -> tuple[str, str, tuple[str, ...]]:
    """Side (or nothing), the rest of the words in one, and the numbers."""
    if name.startswith("__"):  # MakeHuman's joints between two others
        return "", "", ()
    bare = _PREFIX.sub("", re.split(r"[:|]", name)[-1])
    words = [word.lower() for word in _WORD.findall(bare)]
    if _NO_JOINT & set(words):
        return "", "", ()
    numbers = tuple(word for word in words if word.isdigit())
    words = [word for word in words if not word.isdigit() and word not in _EMPTY_WORDS]
    side = next((side for word in words for side in SIDES if word in (side, side[0])), "")
    stem = "".join(word for word in words if word not in ("left", "right", "l", "r")).removesuffix("joint")
    if not side and stem[:1] in ("l", "r") and (stem[1:] in _PART_OF_STEM or _FINGER.fullmatch(stem[1:])):
        side, stem = next(side for side in SIDES if side[0] == stem[0]), stem[1:]
    return side, stem, numbers


def _resolved(names: Sequence[tuple[str, str, tuple[str, ...]]]) -> list[str | None]:
    """The part of every joint; what some stems mean depends on the others: a shoulder beside an elbow is the arm."""
    stems = {stem for _, stem, _ in names}
    meaning = dict(_PART_OF_STEM)
    if not stems & {"upperarm", "uparm", "arm", "humerus"}:
        meaning["shoulder"] = "upper_arm"
    if "ankle" in stems:
        meaning["foot"] = "toes"
    if "radius" in stems and "hand" in stems:
        meaning["wrist"] = "lower_arm"
    fingers = {finger for _, stem, numbers in names if (finger := _finger(stem, numbers))}
    has_one = fingers <= {"thumb", "index"}
    has_thighs = bool(stems & set(_STEMS["upper_leg"]))
    found: list[str | None] = []
    for side, stem, numbers in names:
        part = _finger(stem, numbers) or meaning.get(stem)
        if part == "index" and has_one:
            part = "fingers"
        if part == "hips" and side:
            part = "pelvis" if has_thighs else "upper_leg"
        is_sided = part not in (None, *_UNSIDED)
        found.append((f"{side}_{part}" if side else None) if is_sided else part if not side else None)
    return found


def _split_spine(parents: Sequence[int], found: list[str | None]) -> None:
    """Without a head, the spine above the shoulders is neck and, last, head: so Blender's Rigify names them."""
    shoulders = [joint for joint, part in enumerate(found) if part in ("left_clavicle", "left_upper_arm")]
    if "head" in found or not shoulders:
        return
    below = set(_with_ancestors(shoulders[0], parents))
    above = [joint for joint, part in enumerate(found) if part == "spine" and joint not in below]
    for joint in above:
        found[joint] = "head" if joint == above[-1] else "neck"


def _finger(stem: str, numbers: Sequence[str]) -> str | None:
    if match := _FINGER.fullmatch(stem):
        finger, bone = match.groups()
        return None if bone == "metacarpal" and finger != "thumb" else _FINGER_NAMES.get(finger, finger)
    if stem != "finger" or not numbers:
        return None
    index = int(numbers[0]) - 1 if len(numbers) > 1 else int(numbers[0][0])  # MakeHuman's finger1-1, Biped's Finger01
    return FINGERS[index] if 0 <= index < len(FINGERS) else None


def _meeting_point(parents: Sequence[int], found: Sequence[str | None]) -> int:
    """The last joint from which both legs and the head hang; the one called hips, or the root, where there is none."""
    wanted = ("left_upper_leg", "right_upper_leg", "head")
    ends = [found.index(part) for part in wanted if part in found]
    shared = set.intersection(*(set(_with_ancestors(end, parents)) for end in ends)) if len(ends) == 3 else set()
    return max(shared, default=found.index("hips") if "hips" in found else 0)


def _with_ancestors(joint: int, parents: Sequence[int]) -> Iterable[int]:
    while joint >= 0:
        yield joint
        joint = parents[joint]


def _levels_above(joint: int, part: str, found: Sequence[str | None], parents: Sequence[int]) -> int:
    return sum(found[above] == part for above in _with_ancestors(parents[joint], parents))
