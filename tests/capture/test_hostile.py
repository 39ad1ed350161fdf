"""Two hundred damaged captures: each ends in one line that names the file, or loads where the damage does no harm."""

import io
import json
import os
import random
import shutil
import time
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest

from avatar.capture import CaptureError, read_capture, write_capture
from avatar.structs import Capture

SEED = 20240711
ROUNDS = 200
SECONDS = 2.0
PICTURE, MASK = "Camera_B1/000001.jpg", "mask/Camera_B3/000002.png"
FILES = ("annots.npy", "splits.json", "body_default.npz", PICTURE, MASK)

# Damages one file of the capture in a folder; returns the name that the error must give.
Damage = Callable[[Path, random.Random], str]


def remove(file: str, folder: Path, _: random.Random) -> str:
    (folder / file).unlink()
    return file


def cut(file: str, folder: Path, rng: random.Random) -> str:
    """Truncated; a directory entry of a zip and the last marker of a picture go first."""
    data = (folder / file).read_bytes()
    (folder / file).write_bytes(data[: rng.randrange(len(data))])
    return file


def end_in_zeros(file: str, folder: Path, rng: random.Random) -> str:
    """As a download that stopped in a file of the full length."""
    data = (folder / file).read_bytes()
    kept = rng.randrange(len(data) * 3 // 4)
    (folder / file).write_bytes(data[:kept] + bytes(len(data) - kept))
    return file


def replace_by(content: bytes, file: str, folder: Path, _: random.Random) -> str:
    (folder / file).write_bytes(content)
    return file


def replace_by_folder(file: str, folder: Path, _: random.Random) -> str:
    (folder / file).unlink()
    (folder / file).mkdir()
    return file


def replace_by_pipe(file: str, folder: Path, _: random.Random) -> str:
    """Reading it would wait for ever."""
    (folder / file).unlink()
    os.mkfifo(folder / file)
    return file


def link_outside(file: str, folder: Path, _: random.Random) -> str:
    outside = folder.with_suffix(".outside")
    (folder / file).rename(outside)
    (folder / file).symlink_to(outside)
    return file


def resize(file: str, folder: Path, rng: random.Random) -> str:
    pixels = cv2.imread(str(folder / file), cv2.IMREAD_UNCHANGED)
    assert pixels is not None
    rows, columns = rng.choice([(0, 1), (1, 0), (3, -2)])
    size = (pixels.shape[1] + columns, pixels.shape[0] + rows)
    cv2.imwrite(str(folder / file), cv2.resize(pixels, size, interpolation=cv2.INTER_NEAREST))
    return file


def change_body(change: Callable[[dict[str, np.ndarray]], object], folder: Path, _: random.Random) -> str:
    arrays = dict(np.load(folder / "body_default.npz"))
    change(arrays)
    np.savez(folder / "body_default.npz", **arrays)
    return "body_default.npz"


def bomb_body(folder: Path, _: random.Random) -> str:
    with zipfile.ZipFile(folder / "body_default.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        for index in range(300):
            archive.writestr(f"{index}.npy", bytes(2**20), compresslevel=1)
    return "body_default.npz"


def change_splits(change: Callable[[dict], object], folder: Path, _: random.Random) -> str:
    values = json.loads((folder / "splits.json").read_text())
    change(values)
    (folder / "splits.json").write_text(json.dumps(values))
    return "splits.json"


def change_annots(change: Callable[[dict], object], folder: Path, _: random.Random) -> str:
    table = np.load(folder / "annots.npy", allow_pickle=True).item()
    change(table)
    np.save(folder / "annots.npy", np.array(table), allow_pickle=True)
    return "annots.npy"


def run_code(pickled: bytes, folder: Path, _: random.Random) -> str:
    """``MARKER`` within the pickle stands for a file that must not come to be."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|O", "fortran_order": False, "shape": ()})
    pickled = pickled.replace(b"MARKER", str(folder / "marker").encode())
    (folder / "annots.npy").write_bytes(header.getvalue() + pickled)
    return "annots.npy"


def put(*keys: object, value: object) -> Callable[[dict], object]:
    """Sets ``table[keys[0]][keys[1]]...`` to ``value``."""

    def change(table: dict) -> None:
        place = table
        for key in keys[:-1]:
            place = place[key]
        place[keys[-1]] = value

    return change


def take(*keys: object) -> Callable[[dict], object]:
    """Removes ``table[keys[0]][keys[1]]...``."""

    def change(table: dict) -> None:
        place = table
        for key in keys[:-1]:
            place = place[key]
        del place[keys[-1]]

    return change


NESTED = np.zeros((3, 3), object)
NESTED[:] = [[[1]]]
BODY_CHANGES = (
    lambda arrays: arrays["local_quats"].__setitem__((2, 3, 1), np.nan),
    lambda arrays: arrays["root_position_world"].__setitem__((1, 0), np.inf),
    put("local_quats", value=np.zeros((4, 5, 4), np.float32)),
    put("local_quats", value=np.ones((4, 5, 3), np.float32)),
    put("local_quats", value=np.full((4, 5, 4), "0.5")),
    put("local_quats", value=np.ones((4, 5, 4), complex) / 2),
    put("root_position_world", value=np.zeros((3, 3), np.float32)),
    put("shape_names", value=np.array([b"age", b"weight"])),
    put("shape_names", value=np.full(2, 1 << 24, np.uint32).view("U1")),
    put("shape_values", value=np.array([None, {}], dtype=object)),
    put("shape_values", value=np.array(0.5)),
    take("shape_values"),
    take("local_quats"),
)
SPLIT_CHANGES = (
    put("train_dense", "cameras", value=["Camera_B1", "Camera_B99"]),
    put("train_dense", "frames", value=[0, 4]),
    put("train_dense", "frames", value=[0, -1]),
    put("train_dense", "frames", value=[float("nan")]),
    put("train_dense", "frames", value={"0": 1}),
    put("test_novel_view", "frames", value=[]),
    put("test_novel_view", "cameras", value="Camera_B1"),
    put("frame_rate", value=-25.0),
    put("frame_rate", value=10**400),
    put("pixel_origin", value="left"),
)
ANNOTS_CHANGES = (
    take("cams"),
    take("ims"),
    take("cams", "K"),
    take("cams", "R", 1),
    take("ims", 2),
    take("ims", 2, "ims", 1),
    put("cams", value=[1, 2, 3]),
    put("ims", 1, "ims", value=np.full(3, 1 << 24, np.uint32).view("U1")),
    put("cams", "K", 1, value=None),
    put("cams", "K", 1, value=np.full((3, 3), np.nan)),
    put("cams", "K", 1, value=np.zeros((3, 3))),
    put("cams", "K", 0, value=NESTED),
    put("cams", "R", 2, value=np.zeros((3, 3))),
    put("cams", "R", 2, value=np.diag([1.0, 1.0, -1.0])),
    put("cams", "T", 0, value=np.zeros(4)),
    put("cams", "T", 0, value=["0", "0", "0"]),
    put("cams", "T", 0, value=[np.inf, 0, 0]),
    put("cams", "D", 0, value=[0.0] * 8),
    put("ims", 1, value=["Camera_B1/000001.jpg"]),
    put("ims", 1, "ims", 0, value="../../../etc/passwd"),
    put("ims", 1, "ims", 0, value="/etc/passwd"),
    put("ims", 1, "ims", 0, value="..\\secret.jpg"),
    put("ims", 1, "ims", 0, value="Camera_B1/\n000001.jpg"),
    put("ims", 1, "ims", 0, value="Camera_B1/\ud800.jpg"),
    put("ims", 1, "ims", 0, value=7),
)
PROGRAMS = (
    b"cos\nsystem\n(Vtouch MARKER\ntR.",
    b"cposix\nsystem\n(Vtouch MARKER\ntR.",
    b"c__builtin__\neval\n(Vopen('MARKER', 'w')\ntR.",
    b"cbuiltins\nexec\n(Vopen('MARKER', 'w')\ntR.",
    b"cbuiltins\nopen\n(VMARKER\nVw\ntR.",
    b"csubprocess\ncall\n((lVtouch\naVMARKER\natR.",
    b"cpathlib\nPath.touch\n(VMARKER\ntR.",
    b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x05dummy0\x85R.",
    b"(dVcams\n(dVK\ncos\nsystem\n(Vtouch MARKER\ntRssVims\n(ls.",
    b"cnumpy.core.multiarray\n_reconstruct\n(cos\nsystem\n(Vtouch MARKER\ntR(I0\ntVb\ntR.",
    b"cnumpy\ndtype\n(VO8\ntR(I3\nV|\ncos\nsystem\n(Vtouch MARKER\ntRNNI-1\nI-1\nI63\ntb.",
    b"cbuiltins\ngetattr\n(cnumpy\nndarray\nVtofile\ntR.",
    b"cnumpy\nsave\n(VMARKER\nI1\ntR.",
    b"cio\nFileIO\n(VMARKER\nVw\nt\x81.",
    b"(Vtouch MARKER\nios\nsystem\n.",
)
FATAL: tuple[Damage, ...] = (
    *(partial(remove, file) for file in FILES if file != "splits.json"),
    *(partial(cut, file) for file in FILES for _ in range(6)),
    *(partial(end_in_zeros, file) for file in FILES for _ in range(3)),
    *(partial(replace_by, content, file) for file in FILES for content in (b"", b"<html>404</html>", bytes(5000))),
    *(partial(replace_by_folder, file) for file in FILES),
    *(partial(replace_by_pipe, file) for file in FILES),
    *(partial(link_outside, file) for file in (PICTURE, MASK)),
    *(partial(resize, file) for file in (PICTURE, MASK)),
    *(partial(change_body, change) for change in BODY_CHANGES),
    bomb_body,
    *(partial(change_splits, change) for change in SPLIT_CHANGES),
    *(partial(change_annots, change) for change in ANNOTS_CHANGES),
    *(partial(run_code, program) for program in PROGRAMS),
)


def flip_bits(folder: Path, rng: random.Random) -> str:
    """A few wrong bits, which may do no harm."""
    path = folder / rng.choice(FILES)
    data = bytearray(path.read_bytes())
    for _ in range(rng.choice([1, 1, 3, 30])):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    path.write_bytes(data)
    return folder.name


@pytest.fixture(scope="module")
def whole(drawn: Capture, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An undamaged capture of the published form."""
    folder = tmp_path_factory.mktemp("whole") / "capture"
    write_capture(drawn, folder)
    cameras = json.loads((folder / "cameras.json").read_text())
    cams = {
        "K": [np.array(camera["K"]) for camera in cameras.values()],
        "R": [np.array(camera["R"]) for camera in cameras.values()],
        "T": [1000 * np.array(camera["T_m"])[:, None] for camera in cameras.values()],
        "D": [np.zeros((5, 1)) for _ in cameras],
    }
    ims = [{"ims": [f"{name}/{frame:06d}.jpg" for name in cameras]} for frame in range(drawn.num_frames)]
    np.save(folder / "annots.npy", np.array({"cams": cams, "ims": ims}), allow_pickle=True)
    (folder / "cameras.json").unlink()
    use(folder)
    return folder


def use(folder: Path) -> None:
    """Everything that a fit and an evaluation read."""
    capture = read_capture(folder, split="train_dense")
    for split in capture.splits.values():
        for pair in split.pairs():
            capture.load_frame(*pair, True)


def use_quickly(folder: Path) -> None:
    """The same, in bounded time and without a trace of foreign code."""
    start = time.monotonic()
    try:
        use(folder)
    finally:
        assert time.monotonic() - start < SECONDS
        assert not (folder / "marker").exists()


@pytest.mark.parametrize("number", range(ROUNDS))
def test_damage_ends_in_one_line(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    folder, rng = tmp_path / "capture", random.Random(SEED + number)
    shutil.copytree(whole, folder)
    monkeypatch.chdir(tmp_path)
    if number < len(FATAL):
        named = FATAL[number](folder, rng)
        with pytest.raises(CaptureError) as caught:
            use_quickly(folder)
        message = str(caught.value)
    else:
        named, message = flip_bits(folder, rng), ""
        try:
            use_quickly(folder)
        except CaptureError as error:
            message = str(error)
    assert not message or named in message
    assert "\n" not in message


def test_most_damage_is_meant_to_be_fatal() -> None:
    assert ROUNDS * 0.6 < len(FATAL) < ROUNDS
