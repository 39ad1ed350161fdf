"""``avatar calibrate`` from folders of pictures to a calibration, and back to a check of it."""

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from avatar.capture.calibration import Calibration
from avatar.capture.camera_files import read_calibrations
from avatar.capture.picture_files import picture_size
from avatar.prepare.boards import corners_m, draw_board, parse_board

Command = Callable[..., int]
BOARD = "charuco:7x5:80:60"
HEIGHT, WIDTH, FOCAL_PX = 240, 320, 300.0


def camera_from_world(angle: float) -> np.ndarray:
    """Of a camera two metres from the origin that looks at it; y is down."""
    pose = np.eye(4)
    pose[:3, :3] = cv2.Rodrigues(np.array([0, -angle, 0]))[0]
    pose[:3, 3] = 0, 0, 1.1
    return pose


def picture(pose: np.ndarray) -> np.ndarray:
    """The board in a pose of a pinhole, drawn by a homography, four times finer than it is kept."""
    board, square_px = parse_board(BOARD), 60
    metres = board.square_m / square_px
    metric_from_drawn = np.array(
        [[metres, 0, -2 * board.square_m + metres / 2], [0, metres, -2 * board.square_m + metres / 2], [0, 0, 1]]
    )
    fine = np.array([[4 * FOCAL_PX, 0, 2 * WIDTH - 0.5], [0, 4 * FOCAL_PX, 2 * HEIGHT - 0.5], [0, 0, 1]])
    whole = fine @ pose[:3, [0, 1, 3]] @ metric_from_drawn
    drawn = draw_board(board, square_px, square_px)
    large = cv2.warpPerspective(drawn, whole, (4 * WIDTH, 4 * HEIGHT), borderValue=(128,))
    return cv2.resize(large, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two cameras, an arc of 34 degrees apart, and a board that is turned before them."""
    folder, generator = tmp_path_factory.mktemp("films"), np.random.default_rng(0)
    middle = corners_m(parse_board(BOARD)).mean(axis=0)
    for name in ("left", "right"):
        (folder / name).mkdir()
    for number in range(12):
        pose = np.eye(4)
        pose[:3, :3] = cv2.Rodrigues(generator.uniform(-0.5, 0.5, 3))[0]
        pose[:3, 3] = generator.uniform((-0.2, -0.1, -0.2), (0.2, 0.1, 0.2)) - pose[:3, :3] @ middle
        for name, angle in (("left", -0.3), ("right", 0.3)):
            cv2.imwrite(str(folder / name / f"{number:03d}.png"), picture(camera_from_world(angle) @ pose))
    return folder


def test_films_of_a_board_are_calibrated_and_checked(
    films: Path, command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("COLUMNS", "200")
    out = tmp_path / "cameras.json"
    assert command("calibrate", "--board", BOARD, "--videos", films, "--out", out) == 0
    said = capsys.readouterr().out
    assert "left" in said
    assert "Wrote" in said
    assert picture_size(out.with_suffix(".png")) > (400, 800)
    left, right = read_calibrations(out)
    assert (left.name, left.size) == ("left", (HEIGHT, WIDTH))
    assert left.intrinsics_px[0, 0] == pytest.approx(FOCAL_PX, rel=5e-3)
    assert _apart_m(left, right) == pytest.approx(2 * 1.1 * np.sin(0.3), rel=5e-3)

    table = json.loads(out.read_text())
    table["right"]["D"][0] += 0.3
    out.write_text(json.dumps(table))
    assert command("calibrate", "--board", BOARD, "--videos", films, "--check", out) == 0
    said = capsys.readouterr().out
    assert "left: the lens is right" in said
    assert "right: the distortion is wrong" in said
    assert "right: stands" in said


def _apart_m(left: Calibration, right: Calibration) -> float:
    return float(np.linalg.norm(left.centre_world - right.centre_world))


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), "give --videos"),
        (("--videos", "nowhere", "--out", "c.json"), "no such video or folder"),
        (("--videos", "nowhere", "--out", "c.yml"), "ends in .json or .toml"),
        (("--videos", "nowhere"), "give --out"),
        (("--print-board", "b.jpg"), "ends in .svg"),
    ],
)
def test_mistakes_get_one_line(words: tuple[str, ...], told: str, command: Command, capsys: pytest.CaptureFixture[str]):
    assert command("calibrate", "--board", BOARD, *words) == 2
    assert told in capsys.readouterr().err


def test_no_board_says_what_to_film(command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "films" / "left").mkdir(parents=True)
    cv2.imwrite(str(tmp_path / "films" / "left" / "000.png"), np.full((48, 64), 128, np.uint8))
    assert command("calibrate", "--board", BOARD, "--videos", tmp_path / "films", "--out", tmp_path / "c.json") == 2
    assert "left: the board is seen in 0 of its pictures" in capsys.readouterr().err
    assert not (tmp_path / "c.json").exists()


def test_a_board_is_written_for_print(command: Command, tmp_path: Path):
    assert command("calibrate", "--board", BOARD, "--print-board", tmp_path / "b.svg") == 0
    text = (tmp_path / "b.svg").read_text()
    assert 'width="720mm" height="560mm"' in text  # nine by seven squares, margins included
