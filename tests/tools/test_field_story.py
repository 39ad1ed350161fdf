"""A prior, a single moment fitted from two frames' worth of steps, its picture and its mesh: the verbs with fields."""

from collections.abc import Callable
from pathlib import Path

import cv2
import pytest
import trimesh

from avatar.checkpoint import load_field

Command = Callable[..., int]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fields")


@pytest.fixture
def prior(folder: Path, command: Command, capture: Path) -> Path:
    run = folder / "prior"
    words = ["--split", "train", "--steps", 2, "--inner-steps", 2]
    assert command("meta-learn", "field", "--captures", capture, "--run", run, *words) == 0
    return run


@pytest.fixture
def moment(folder: Path, prior: Path, command: Command, capture: Path) -> Path:
    run = folder / "moment"
    words = ["--prior", prior, "--split", "train", "--frames", 5, "--steps", 3]
    assert command("fit", "field", "--capture", capture, "--run", run, *words) == 0
    return run


def test_a_moment_begins_with_the_prior(moment: Path, prior: Path) -> None:
    ours, theirs = load_field(moment), load_field(prior)
    assert ours.frame_ids == (5,)
    assert ours.config == theirs.config
    change = float((ours.canonical.table - theirs.canonical.table).detach().abs().max())
    assert 0 < change < 0.05


def test_it_is_filmed_and_exported(moment: Path, command: Command, tmp_path: Path) -> None:
    picture, mesh = tmp_path / "moment.png", tmp_path / "moment.obj"
    assert command("render", "--run", moment, "--out", picture, "--size", 64) == 0
    image = cv2.imread(str(picture))
    assert image is not None
    assert int(image.max()) > 20
    assert command("export", "--run", moment, "--out", mesh, "--format", "obj", "--cell-m", 0.03) == 0
    surface = trimesh.load(mesh, process=False)
    assert isinstance(surface, trimesh.Trimesh)
    assert surface.is_watertight


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["fit", "hybrid", "--prior"], "--prior: expected the recipe field, got hybrid"),
        (["fit", "dual-space", "--prior"], "--prior: expected the recipe field, got dual-space"),
        (["fit", "field", "--frames", 900, "--prior"], "--frames 900: expected time steps from 0 to 23"),
        (["fit", "field", "--from-field"], "--from-field: expected the recipe hybrid, got field"),
    ],
)
def test_what_does_not_go_together_is_said(
    words: list[str],
    message: str,
    prior: Path,
    command: Command,
    capture: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert command(*words, prior, "--capture", capture, "--run", tmp_path / "run", "--split", "train") == 2
    assert message in capsys.readouterr().err


def test_gaussians_are_not_what_a_field_is_exported_as(
    moment: Path, command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("export", "--run", moment, "--out", tmp_path / "moment.ply") == 2
    assert "expected Gaussians, found a radiance field" in capsys.readouterr().err
