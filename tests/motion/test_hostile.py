"""Files that were damaged anywhere end in one line that names them, or in a clip that is whole."""

import io
import random
import time
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import torch

from avatar.motion import MAX_BYTES, MotionError, read_clip, read_clip_bytes
from avatar.motion.files import MAX_MESSAGE
from avatar.structs import Clip, Skeleton

from .test_amass import newer, older
from .test_asf_amc import AMC, ASF, packed
from .test_bvh import CHAIN
from .test_gltf_animation import random_person

MUTATIONS = 55


def damage(content: bytes, random_source: random.Random) -> bytes:
    """Bytes changed, cut out, doubled, swapped for nasty words, or the end missing."""
    data = bytearray(content)
    place = random_source.randrange(len(data))
    match random_source.randrange(6):
        case 0:
            data[place] = random_source.randrange(256)
        case 1:
            del data[place : place + random_source.randrange(1, 40)]
        case 2:
            data[place:place] = data[place : place + random_source.randrange(1, 40)]
        case 3:
            nasty = (b"nan", b"-1", b"1e309", b"9" * 30, b"\xff\xff\xff\xff", b"{", b"}", b"1,5", b"\0", b"inf")
            word = random_source.choice(nasty)
            data[place : place + len(word)] = word
        case 4:
            del data[place:]
        case _:
            for _ in range(8):
                data[random_source.randrange(len(data))] = random_source.randrange(256)
    return bytes(data)


def assert_whole(clip: Clip) -> None:
    frames, joints, _ = clip.local_quats.shape
    assert len(clip.skeleton.joint_names) == len(clip.skeleton.parents) == len(clip.skeleton.joints_rest) == joints
    assert clip.skeleton.parents[0] == -1
    assert all(0 <= parent < joint for joint, parent in enumerate(clip.skeleton.parents) if joint)
    assert clip.root_position_world.shape == (frames, 3)
    assert 1 <= clip.frame_rate_hz <= 1000
    for tensor in (clip.local_quats, clip.root_position_world, clip.skeleton.joints_rest):
        assert torch.isfinite(tensor).all()
    torch.testing.assert_close(clip.local_quats.norm(dim=-1), torch.ones_like(clip.local_quats[..., 0]))


def files(skeleton: Skeleton) -> dict[str, bytes]:
    few = Skeleton(
        joint_names=skeleton.joint_names[:5],
        parents=skeleton.parents[:5],
        joints_rest=skeleton.joints_rest[:5],
    )
    person, _ = random_person(few)
    own = io.BytesIO()
    np.savez(
        own,
        joint_names=np.array(["hips", "spine"]),
        parents=np.array([-1, 0]),
        joints_rest=np.zeros((2, 3)),
        local_quats=np.tile([1.0, 0, 0, 0], (2, 2, 1)),
        root_position_world=np.zeros((2, 3)),
        frame_rate_hz=np.array(30.0),
    )
    return {
        "walk.bvh": CHAIN.encode(),
        "walk.glb": person.glb(),
        "walk.gltf": person.gltf(),
        "older.npz": older(),
        "newer.npz": newer(),
        "own.npz": own.getvalue(),
        "pair.zip": packed(),
    }


FORMATS = ("walk.bvh", "walk.glb", "walk.gltf", "older.npz", "newer.npz", "own.npz", "pair.zip", "text.zip")


@pytest.mark.parametrize("name", FORMATS)
def test_damaged_files_are_refused_or_whole(name: str, mixamo: Skeleton):
    source = random.Random(name)
    content = files(mixamo).get(name, b"")
    refused = 0
    for _ in range(MUTATIONS):
        if name == "text.zip":
            damaged = packed(*(damage(text.encode(), source).decode("latin-1") for text in (ASF, AMC)))
        else:
            damaged = damage(content, source)
        try:
            assert_whole(read_clip_bytes(name, damaged))
        except MotionError as error:
            refused += 1
            message = str(error)
            assert message.startswith(name)
            assert "\n" not in message
            assert len(message) <= MAX_MESSAGE
    assert refused > MUTATIONS // 10


def test_damaged_walks_of_cmu(shared_walk: bytes):
    source = random.Random(12)
    for _ in range(50):
        with suppress(MotionError):
            assert_whole(read_clip_bytes("walk.bvh", damage(shared_walk, source)))


@pytest.fixture(scope="module")
def shared_walk() -> bytes:
    path = Path(__file__).parents[3] / "shared/data/fixtures/motion/cmu_12_01_walk.bvh"
    if not path.exists():
        pytest.skip(f"{path} is not there")
    lines = path.read_bytes().splitlines(keepends=True)
    return b"".join(lines[:200]).replace(b"Frames: 524", b"Frames: 13")


def zip_bomb(name: str) -> bytes:
    """A small archive whose one member says that it unpacks to a gigabyte."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, bytes(2**20))
    return file.getvalue().replace((2**20).to_bytes(4, "little"), (2**30).to_bytes(4, "little"))


HUGE: dict[str, Callable[[], bytes]] = {
    "large.bvh": lambda: b" " * (MAX_BYTES + 1),
    "deep.bvh": lambda: b"HIERARCHY ROOT a {" + b"JOINT b {" * 100_000,
    "wide.bvh": lambda: b"HIERARCHY ROOT a { " + b"JOINT b { } " * 5000 + b"}",
    "open.bvh": lambda: b"HIERARCHY ROOT " + b"a " * 1_000_000,
    "long.bvh": lambda: CHAIN.replace("Frames: 2", "Frames: 900000").encode(),
    "deep.gltf": lambda: b'{"a":' + b"[" * 200_000,
    "ring.gltf": lambda: b'{"animations":[{}],"nodes":[{"children":[1]},{"children":[0]}]}',
    "many.gltf": lambda: b'{"animations":[{}],"nodes":[' + b"{}," * 100_000 + b"{}]}",
    "bomb.npz": lambda: zip_bomb("poses.npy"),
    "bomb.smpl": lambda: zip_bomb("bodyPose.npy"),
    "bomb.zip": lambda: zip_bomb("12.asf"),
    "other.npz": lambda: zip_bomb("unknown.npy"),
    "none.bvh": lambda: b"",
    "none.glb": lambda: b"",
    "none.npz": lambda: b"",
    "none.zip": lambda: b"",
}


@pytest.mark.parametrize("name", HUGE)
def test_what_is_too_large_is_refused_at_once(name: str):
    content = HUGE[name]()
    started = time.process_time()
    with pytest.raises(MotionError, match=f"^{name}: "):
        read_clip_bytes(name, content)
    assert time.process_time() - started < 3


def test_files_are_found_or_said_to_be_missing(tmp_path: Path):
    with pytest.raises(FileNotFoundError, match=r"walk\.bvh: no such file"):
        read_clip(tmp_path / "walk.bvh")
    with pytest.raises(FileNotFoundError, match="no such file"):
        read_clip(tmp_path)
    (tmp_path / "walk.fbx").write_bytes(b"Kaydara")
    with pytest.raises(MotionError, match=r"walk\.fbx: expected a motion file \(\.bvh, "):
        read_clip(tmp_path / "walk.fbx")


def test_names_cannot_write_to_a_terminal():
    clip = read_clip_bytes("walk.bvh", CHAIN.replace("L Knee", "L\x1b[31mKnee").encode())
    assert clip.skeleton.joint_names[1] == "L?[31mKnee"
    with pytest.raises(MotionError) as refused:
        read_clip_bytes("walk.bvh", b"\x1b[2J")
    assert str(refused.value).isprintable()
