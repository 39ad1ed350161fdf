"""What the command line says, and how it refuses."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import avatar
from avatar.capture.camera_files import write_easymocap
from avatar.capture.zju_writer import zju_calibrations
from avatar.captures import open_capture

Command = Callable[..., int]
VERBS = ("calibrate", "prepare", "fit", "meta-learn", "sweep", "evaluate", "render", "export", "convert", "assets")


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("COLUMNS", "200")


def test_help_lists_the_verbs(command: Command, capsys: pytest.CaptureFixture[str]):
    assert command("--help") == 0
    shown = capsys.readouterr().out
    assert all(f"  {verb} " in shown for verb in (*VERBS, "bench"))
    assert "avatar fit hybrid --capture" in shown


def test_no_words_show_the_help_but_are_an_error(command: Command, capsys: pytest.CaptureFixture[str]):
    assert command() == 2
    assert "Usage: avatar VERB" in capsys.readouterr().out


def test_version(command: Command, capsys: pytest.CaptureFixture[str]):
    assert command("--version") == 0
    assert capsys.readouterr().out.strip() == avatar.__version__


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_a_purpose_and_an_example(verb: str, command: Command, capsys: pytest.CaptureFixture[str]):
    assert command(verb, "--help") == 0
    shown = capsys.readouterr().out
    assert f"avatar {verb} --" in shown or f"avatar {verb} f" in shown or f"avatar {verb} h" in shown
    assert "Example" in shown


def test_fit_lists_the_recipes(command: Command, capsys: pytest.CaptureFixture[str]):
    command("fit", "--help")
    assert "{hybrid,field,dual-space}" in capsys.readouterr().out


def test_an_unknown_recipe_is_refused_with_those_there_are(command: Command, capsys: pytest.CaptureFixture[str]):
    assert command("fit", "magic", "--capture", "x", "--run", "y") == 2
    assert "hybrid" in capsys.readouterr().err


MISTAKES = {
    "no command": (["fti"], "no command 'fti'; there are prepare,"),
    "no capture": (["fit", "hybrid", "--capture", "{tmp}/none", "--run", "{tmp}/run"], "none: no such folder"),
    "no split": (
        ["fit", "hybrid", "--capture", "{capture}", "--run", "{tmp}/run", "--split", "dense"],
        "no split 'dense'; there are train, test_novel_view, test_novel_pose",
    ),
    "no steps": (["fit", "hybrid", "--capture", "{capture}", "--run", "{tmp}/run", "--steps", "0"], "positive steps"),
    "not a run": (
        ["fit", "hybrid", "--capture", "{capture}", "--run", "{capture}", "--overwrite"],
        "not empty and not a run folder",
    ),
    "nothing to evaluate": (["evaluate", "--run", "{tmp}", "--capture", "{capture}"], "no checkpoint here"),
    "nothing to render": (["render", "--run", "{tmp}", "--out", "{tmp}/a.png"], "no checkpoint here"),
    "color": (["render", "--run", "{tmp}", "--out", "{tmp}/a.png", "--background", "red"], "black, white or three"),
    "bright": (["render", "--run", "{tmp}", "--out", "{tmp}/a.png", "--background", "0,0,2"], "sRGB in [0, 1]"),
    "size": (["render", "--run", "{tmp}", "--out", "{tmp}/a.png", "--size", "0"], "--size: expected more than 0"),
    "nothing to export": (["export", "--run", "{tmp}", "--out", "{tmp}/a.ply"], "no checkpoint here"),
    "format": (
        ["export", "--run", "{tmp}", "--out", "{tmp}/a.obj", "--format", "ply"],
        "ends in .ply, or another --format",
    ),
    "frame of what": (
        ["export", "--run", "{tmp}", "--out", "{tmp}/a.ply", "--poses", "{capture}"],
        "expected --frames",
    ),
    "fetch what": (["assets", "fetch"], "avatar assets fetch lpips"),
    "bring what": (["assets", "add-body"], "avatar assets add-body SMPLX_NEUTRAL.npz"),
    "bring nothing": (["assets", "add-body", "{tmp}/SMPL_MALE.pkl"], "SMPL_MALE.pkl: no such file"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_gets_one_line(
    name: str, command: Command, capture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    words, reason = MISTAKES[name]
    assert command(*(word.format(tmp=tmp_path, capture=capture) for word in words)) == 2
    said = capsys.readouterr()
    assert said.err.startswith("avatar: ")
    assert len(said.err.splitlines()) == 1
    assert reason in said.err
    assert not any(tmp_path.iterdir()), "nothing was written"


def test_a_traceback_where_it_is_asked_for(command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AVATAR_DEBUG", "1")
    with pytest.raises(FileNotFoundError):
        command("render", "--run", tmp_path, "--out", tmp_path / "a.png")


def test_assets_are_listed(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("AVATAR_CACHE", str(tmp_path))
    assert command("assets", "list") == 0
    assert capsys.readouterr().out.count("not fetched") == 2 + 4 + 1


def test_pictures_without_a_body_say_what_makes_one(
    command: Command, capture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    """EasyMocap's folder before bodies were fitted."""
    whole, folder = open_capture(capture), tmp_path / "dance"
    images = folder / "images" / "Camera_B1"
    images.mkdir(parents=True)
    write_easymocap(folder, zju_calibrations(whole.cameras[:1]))
    shutil.copy(capture / "camera_0" / "000000.jpg", images)
    assert command("fit", "hybrid", "--capture", folder, "--run", tmp_path / "run") == 2
    said = " ".join(capsys.readouterr().err.split())
    assert f"{folder}: has pictures but no body yet; fit one to the pictures: avatar prepare --videos" in said
    assert not (tmp_path / "run").exists()
