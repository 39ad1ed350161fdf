"""A capture becomes an avatar, which is measured, filmed and exported: the verbs one after the other."""

import json
import signal
from collections.abc import Callable
from pathlib import Path

import av
import cv2
import pytest
import trimesh

from avatar.evaluate import METRICS, Report
from avatar.export import read_ply, read_spz
from avatar.train import HybridFit, read_events

Command = Callable[..., int]
STEPS = 12


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("runs") / "dancer"


@pytest.fixture
def fitted(run: Path, command: Command, capture: Path) -> Path:
    """A run that is finished."""
    assert command("fit", "hybrid", "--capture", capture, "--run", run, "--steps", STEPS) == 0
    return run


def test_fit_interrupted_goes_on(
    command: Command, capture: Path, run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    frame, before = HybridFit.frame, signal.getsignal(signal.SIGINT)

    def interrupted(self: HybridFit, step: int) -> object:
        if step == 4:
            signal.raise_signal(signal.SIGINT)
        return frame(self, step)

    words = ["fit", "hybrid", "--capture", capture, "--run", run, "--steps", STEPS]
    monkeypatch.setattr(HybridFit, "frame", interrupted)
    assert command(*words) == 130
    assert "The same command goes on from here" in capsys.readouterr().out
    assert [path.name for path in run.glob("checkpoint-*")] == ["checkpoint-0000005"]
    monkeypatch.undo()
    assert signal.getsignal(signal.SIGINT) is before
    assert command(*words) == 0
    said = capsys.readouterr().out
    assert "goes on from step 5" in said
    assert f"avatar evaluate --run {run} --capture {capture} --split test_novel_view" in said
    assert [path.name for path in run.glob("checkpoint-*")] == [f"checkpoint-{STEPS:07d}"]
    assert read_events(run / "events.jsonl")[-1]["step"] == 10


def test_a_finished_fit_stays(command: Command, capture: Path, fitted: Path, capsys: pytest.CaptureFixture[str]):
    assert command("fit", "hybrid", "--capture", capture, "--run", fitted, "--steps", STEPS) == 0
    assert "already finished" in capsys.readouterr().out


def test_another_fit_needs_another_folder(
    command: Command, capture: Path, fitted: Path, capsys: pytest.CaptureFixture[str]
):
    assert command("fit", "hybrid", "--capture", capture, "--run", fitted, "--steps", STEPS, "--seed", 1) == 2
    assert "with seed 0, not a fit of hybrid to dancer/train with seed 1" in capsys.readouterr().err


def test_evaluate_writes_figures_and_report(
    command: Command, capture: Path, fitted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("AVATAR_CACHE", str(tmp_path / "empty"))
    figures = tmp_path / "figures.json"
    assert command("evaluate", "--run", fitted, "--capture", capture, "--json", figures) == 0
    stored = json.loads(figures.read_text())
    assert {"split", "num_images", "seconds_per_image", *METRICS} <= stored.keys()
    assert (stored["split"], stored["num_images"], stored["lpips_vgg"]) == ("test_novel_view", 2, None)
    assert stored["psnr"] > 15
    assert [row["frame_id"] for row in stored["surface"]["frames"]] == [8]
    assert 0 < stored["surface"]["chamfer_mm"] < 20
    film = fitted / "report" / "turntable.mp4"
    filmed = film.stat().st_mtime_ns
    assert command("evaluate", "--run", fitted, "--capture", capture, "--split", "test_novel_pose") == 0
    assert film.stat().st_mtime_ns == filmed, "the same avatar is filmed once"
    page = (fitted / "report" / "index.html").read_text()
    assert "surface_test_novel_view.png" in page
    assert page.index("test_novel_view") < page.index("test_novel_pose")
    assert "12 steps" in page or "10 steps" in page
    assert Report.read(fitted / "evaluation" / "test_novel_pose.json").split == "test_novel_pose"


def test_render_films_an_orbit(command: Command, fitted: Path, tmp_path: Path):
    assert command("render", "--run", fitted, "--out", tmp_path / "a.mp4", "--size", 64, "--fps", 4) == 0
    with av.open(str(tmp_path / "a.mp4")) as film:
        stream = film.streams.video[0]
        assert (stream.height, stream.width, stream.average_rate) == (64, 48, 4)
        assert sum(1 for _ in film.decode(stream)) == 7, "from time step 0 to 12 at 8 a second"


def test_render_freezes_one_time_step(command: Command, fitted: Path, tmp_path: Path):
    assert command("render", "--run", fitted, "--out", tmp_path / "a", "--size", 32, "--frames", 8) == 0
    assert len(list((tmp_path / "a").glob("*.png"))) == 72


def test_render_looks_through_a_camera(command: Command, capture: Path, fitted: Path, tmp_path: Path):
    words = ["--capture", capture, "--path", "camera_1", "--frames", "3:5", "--background", "0,0,1"]
    assert command("render", "--run", fitted, "--out", tmp_path / "a", *words) == 0
    pictures = [cv2.imread(str(path)) for path in sorted((tmp_path / "a").iterdir())]
    truth = cv2.imread(str(capture / "camera_1" / "000003.jpg"))
    assert truth is not None
    assert len(pictures) == 2
    for picture in pictures:
        assert picture is not None
        assert picture.shape == truth.shape
        assert picture[0, 0].tolist() == [255, 0, 0]
        assert picture.reshape(-1, 3).std(0).min() > 5, "somebody is there"


def test_render_takes_the_poses_of_another_capture(command: Command, capture: Path, fitted: Path, tmp_path: Path):
    words = ["--poses", capture, "--frames", "20:", "--size", 64]
    assert command("render", "--run", fitted, "--out", tmp_path / "a.png", *words) == 0
    assert (tmp_path / "a.png").is_file()


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--out", "a.webp"], "expected .mp4, .gif, .png or a folder"),
        (["--out", "a.png", "--path", "camera_1"], "--capture to say whose camera"),
        (["--out", "a.png", "--path", "cam", "--capture", "{capture}"], "there are orbit, camera_0, camera_1"),
        (["--out", "a.png", "--frames", "90:"], "time steps 90:: the motion has 0 to 12"),
        (["--out", "a.png", "--frames", "x"], "from:to"),
    ],
)
def test_render_refuses(
    words: list[str], reason: str, command: Command, capture: Path, fitted: Path, capsys: pytest.CaptureFixture[str]
):
    capsys.readouterr()
    assert command("render", "--run", fitted, *(word.format(capture=capture) for word in words)) == 2
    assert reason in capsys.readouterr().err


def test_export_writes_gaussians_that_viewers_open(command: Command, capture: Path, fitted: Path, tmp_path: Path):
    poses = {"rest": [], "own": ["--frames", 8], "other": ["--frames", 20, "--poses", capture]}
    means = {}
    for name, words in poses.items():
        assert command("export", "--run", fitted, "--out", tmp_path / f"{name}.ply", *words) == 0
        means[name] = read_ply(tmp_path / f"{name}.ply").means
    height = means["rest"][:, 1].amax() - means["rest"][:, 1].amin()
    assert 1.4 < float(height) < 2.1, "a standing person's height is along y"
    assert not means["own"].allclose(means["rest"], atol=0.05)
    assert not means["own"].allclose(means["other"], atol=0.05)


def test_export_writes_the_clothed_mesh(command: Command, fitted: Path, tmp_path: Path):
    for name, words in {"rest": [], "own": ["--frames", 8], "fine": ["--longest-edge-m", 0.02]}.items():
        assert command("export", "--run", fitted, "--format", "obj", "--out", tmp_path / f"{name}.obj", *words) == 0
    rest, own, fine = (trimesh.load_mesh(tmp_path / f"{name}.obj", process=False) for name in ("rest", "own", "fine"))
    assert 1.4 < rest.extents[1] < 2.1, "a standing person's height is along y"
    assert len(rest.faces) == len(own.faces) > 20_000
    assert abs(rest.vertices - own.vertices).max() > 0.05
    assert fine.edges_unique_length.max() < 0.0201 < rest.edges_unique_length.max()
    assert fine.area == pytest.approx(rest.area, rel=1e-4)


def test_export_writes_a_person_who_moves(command: Command, fitted: Path, tmp_path: Path):
    file = Path(__file__).resolve().parents[2] / "data" / "samples" / "jumping_jacks.bvh"
    sizes = []
    for words in ([], ["--motion", file], ["--motion", file, "--frames", "2:5"]):
        assert command("export", "--run", fitted, "--out", tmp_path / "a.glb", *words) == 0
        assert 1.4 < trimesh.load_scene(tmp_path / "a.glb").extents[1] < 2.1
        assert b'"animations"' in (tmp_path / "a.glb").read_bytes()
        sizes.append((tmp_path / "a.glb").stat().st_size)
    assert sizes[1] > max(sizes[0], sizes[2]), "the motion of the file is the longest"
    assert command("export", "--run", fitted, "--out", tmp_path / "b.glb", "--splats", "--frames", 8) == 0
    assert b"KHR_gaussian_splatting" in (tmp_path / "b.glb").read_bytes()


def test_export_writes_a_pose_a_file(command: Command, fitted: Path, tmp_path: Path):
    assert command("export", "--run", fitted, "--out", tmp_path / "dance", "--format", "spz", "--frames", "4:9") == 0
    assert sorted(path.name for path in (tmp_path / "dance").iterdir()) == ["dance-000004.spz", "dance-000008.spz"]
    four, eight = (read_spz(path).means for path in sorted((tmp_path / "dance").iterdir()))
    assert not four.allclose(eight, atol=0.01)


def test_export_writes_a_page_that_plays_alone(command: Command, fitted: Path, capture: Path, tmp_path: Path):
    assert command("export", "--run", fitted, "--out", tmp_path / "a.html", "--poses", capture, "--frames", "2:5") == 0
    page = (tmp_path / "a.html").read_text()
    embedded = json.loads(page.partition('id="avatar-embedded">')[2].partition("</script>")[0])
    assert [motion["name"] for motion in embedded["motions"]] == ["dancer", "Fitted poses"]
    assert command("export", "--run", fitted, "--out", tmp_path / "a.htm") == 2


def test_export_writes_a_film(command: Command, fitted: Path, tmp_path: Path):
    assert command("export", "--run", fitted, "--out", tmp_path / "a.gif", "--size", 64) == 0
    with av.open(str(tmp_path / "a.gif")) as film:
        assert sum(1 for _ in film.decode(video=0)) == 4


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (
            ["--out", "a.ply", "--frames", "4:9"],
            "holds one pose; expected --frames with a single time step, or a folder",
        ),
        (["--out", "a"], "expected --format, or a name that ends in .ply, .spz"),
        (["--out", "a", "--format", "ply"], "expected a name that ends in .ply"),
        (["--out", "a.foo"], "expected --format, or a name"),
        (["--out", "a.obj", "--splats"], "--splats: expected --format glb or usd"),
        (["--out", "a.glb", "--fps", 3], "--fps: expected more than 0, with --format mp4"),
        (["--out", "a.gif", "--size", 3], "--size: expected 16 or more"),
        (["--out", "a.gif", "--frames", "90:"], "time steps 90:: the motion has 0 to 12"),
    ],
)
def test_export_refuses(
    words: list[str], reason: str, command: Command, fitted: Path, capsys: pytest.CaptureFixture[str]
):
    capsys.readouterr()
    assert command("export", "--run", fitted, *words) == 2
    assert reason in capsys.readouterr().err


def test_overwrite_begins_anew(command: Command, capture: Path, fitted: Path, capsys: pytest.CaptureFixture[str]):
    (fitted / "notes.txt").write_text("mine")
    words = ["fit", "hybrid", "--capture", capture, "--run", fitted, "--budget-seconds", 0.3, "--overwrite"]
    assert command(*words) == 0
    assert "goes on" not in capsys.readouterr().out
    assert not (fitted / "report").exists()
    assert (fitted / "notes.txt").read_text() == "mine"
