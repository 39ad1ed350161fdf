"""Captures become a prior."""

import signal
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import pytest

from avatar.checkpoint import load_avatar
from avatar.model import FieldAvatar
from avatar.train import read_events
from avatar.train.meta import FieldMetaFit

from ..train.meta.test_field import REPTILE

Command = Callable[..., int]


@pytest.fixture
def learn(command: Command, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """``avatar meta-learn field``, of a small field."""
    monkeypatch.setattr(import_module("avatar.tools.meta_learn"), "field_prior", lambda *words: REPTILE)
    return lambda *words: command("meta-learn", "field", "--split", "train", *words)


def test_interrupted_it_goes_on(
    learn: Command, capture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    task, run = FieldMetaFit.task, tmp_path / "prior"

    def interrupted(self: FieldMetaFit, step: int, index: int) -> object:
        if step == 2:
            signal.raise_signal(signal.SIGINT)
        return task(self, step, index)

    words = ["--captures", capture, capture, "--run", run, "--steps", 4]
    with monkeypatch.context() as patched:
        patched.setattr(FieldMetaFit, "task", interrupted)
        assert learn(*words) == 130
    assert "The same command goes on from here" in capsys.readouterr().out
    assert [path.name for path in run.glob("checkpoint-*")] == ["checkpoint-0000003"]
    assert learn(*words) == 0
    said = capsys.readouterr().out
    assert "goes on from step 3" in said
    assert "a prior from 8 frames, 4 steps" in said
    assert f"Next: avatar fit field --prior {run} --capture {capture}" in said
    assert isinstance(load_avatar(run), FieldAvatar)
    assert [row["step"] for row in read_events(run / "events.jsonl")] == [1, 2, 3, 4]
    assert learn(*words) == 0
    assert "already finished" in capsys.readouterr().out
    assert learn("--captures", capture, "--run", run, "--steps", 4) == 2
    assert "not a fit of field prior to dancer/train" in capsys.readouterr().err


def test_it_refuses_what_it_cannot_learn_from(
    command: Command, learn: Command, capture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("meta-learn", "field", "--captures", capture, "--run", tmp_path) == 2
    assert "no split 'train_dense'" in capsys.readouterr().err
    assert learn("--captures", capture, tmp_path / "none", "--run", tmp_path) == 2
    assert "none: no such folder" in capsys.readouterr().err
    assert learn("--captures", capture, "--run", capture) == 2
    assert "not empty and not a run folder" in capsys.readouterr().err
