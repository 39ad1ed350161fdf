"""Many subjects: the same table wherever they ran, failures named, what is done skipped, what is stopped taken up."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import fields
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

jobs, job_process = import_module("avatar.tools.jobs"), import_module("avatar.tools.job_process")

Command = Callable[..., int]
Table = list[dict[str, str]]

ROOT = Path(__file__).resolve().parents[2]
PARTS = ("avatar", "tools", "configs", "viewer")
FAILING = "absent"
STEPS = 2


@pytest.fixture
def importable(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """New processes find the checkout as it is once installed, and no networks for LPIPS."""
    package = tmp_path_factory.mktemp("site") / "avatar"
    package.mkdir()
    inside = [path for path in (ROOT / "avatar").iterdir() if path.name not in PARTS]
    for path in [*inside, *(ROOT / name for name in PARTS[1:])]:
        (package / path.name).symlink_to(path)
    places = [str(package.parent), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(map(os.path.abspath, filter(None, places))))
    monkeypatch.setenv("AVATAR_CACHE", str(package.parent / "empty"))
    monkeypatch.chdir(package.parent)  # Ray's processes also look in the current folder, first


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a sweep of the four."""
    return tmp_path_factory.mktemp("sweep") / "runs"


@pytest.fixture(scope="module")
def captures(capture: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Three subjects, and one that is not there."""
    place = tmp_path_factory.mktemp("subjects")
    folders = [place / name for name in ("anna", FAILING, "bela", "cleo")]
    for folder in folders:
        if folder.name != FAILING:
            folder.symlink_to(capture)
    return folders


def table_of(runs: Path) -> Table:
    """Its rows without what depends on the machine and on the place."""
    with (runs / "sweep.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    return [{name: text for name, text in row.items() if name != "seconds"} for row in rows]


def words(runs: Path, captures: list[Path], *more: object) -> list[object]:
    fit = ["--steps", STEPS, "--evaluate", "test_novel_pose"]
    return ["sweep", "hybrid", "--captures", *captures, "--runs", runs, *fit, *more]


@pytest.mark.usefixtures("importable")
def test_a_failure_is_named_and_what_is_done_is_skipped(
    command: Command, captures: list[Path], runs: Path, capsys: pytest.CaptureFixture[str]
):
    assert command(*words(runs, captures)) == 1
    assert f"{captures[1]}: no such folder" in capsys.readouterr().out
    table = table_of(runs)
    states = [(row["subject"], row["state"]) for row in table]
    assert states == [("anna", "done"), (FAILING, "failed"), ("bela", "done"), ("cleo", "done")]
    assert table[0]["psnr"] == table[2]["psnr"] == table[3]["psnr"] != "", "the same pictures, the same seed"
    assert "no such folder" in table[1]["message"]
    told = json.loads((runs / "sweep.json").read_text())
    assert told["means"]["test_novel_pose"]["psnr"] == pytest.approx(float(table[0]["psnr"]))
    logs = {path: path.read_bytes() for path in runs.glob("*.log") if path.stem != FAILING}
    assert command(*words(runs, captures)) == 1
    assert "3 of 4 are done already" in capsys.readouterr().out
    assert {path: path.read_bytes() for path in logs} == logs, "none of them ran again"
    assert table_of(runs) == table


@pytest.mark.usefixtures("importable")
def test_ray_gives_the_same_table(
    command: Command, captures: list[Path], runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    pytest.importorskip("ray", reason="the extra cluster is not installed")
    monkeypatch.setenv("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # as it will be, of which Ray warns
    assert command(*words(runs, captures)) == 1
    for _ in range(2):  # the second skips what is done
        assert command(*words(tmp_path / "ray", captures, "--executor", "ray")) == 1
        assert table_of(tmp_path / "ray") == table_of(runs)


def test_without_ray_it_says_how_to_get_it(
    command: Command, capture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(sys.modules, "ray", None)
    assert command(*words(tmp_path / "runs", [capture], "--executor", "ray")) == 2
    assert "pip install 'avatar[cluster]'" in capsys.readouterr().err


@pytest.mark.usefixtures("importable")
def test_a_killed_process_is_a_failure_that_says_so(capture: Path, tmp_path: Path):
    process = job_process.JobProcess(jobs.Job(name="a", capture=str(capture), run=str(tmp_path / "a")), 1)
    os.kill(process._process.pid, signal.SIGKILL)
    outcome = process.outcome()
    assert (outcome.state, outcome.message) == ("failed", "killed by SIGKILL, out of memory?")


def test_a_protocols_subjects_are_averaged_under_its_table(
    tmp_path: Path, command: Command, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    """Of two subjects of spare-3, which any capture is, and one that fails."""
    monkeypatch.setattr(import_module("avatar.tools").console, "_width", 200)
    protocols = import_module("avatar.evaluate.protocols")

    def pretend(waiting: list[Any], places: object, count: int, outcomes: dict[str, Any]) -> None:
        for index, job in enumerate(waiting):
            assert (job.protocol, job.split) == ("spare-3", None)
            figures = {measure.name: 20.0 + index for measure in protocols.PROTOCOLS["spare-3"].measures}
            image = protocols.ProtocolImage(frame_id=0, camera_id=0, figures=figures)
            report = protocols.ProtocolReport(
                protocol="spare-3", subject=job.name, part="novel_view", is_by_frame=False, images=(image,)
            )
            report.write(Path(job.run) / "protocols" / "spare-3_novel_view.json")
            state = "failed" if job.name == "cleo" else "done"
            outcomes[job.name] = jobs.Outcome(name=job.name, state=state, figures={"spare-3 novel_view": figures})

    monkeypatch.setattr(import_module("avatar.tools.sweep"), "_run", pretend)
    folders = [tmp_path / name for name in ("anna", "bela", "cleo")]
    line = ["sweep", "hybrid", "--captures", *folders, "--runs", tmp_path / "runs", "--protocol", "spare-3"]
    assert command(*line) == 1
    out = capsys.readouterr().out
    assert out.index("anna  ") < out.index("spare-3 novel_view")
    assert "2 subjects" in out
    assert "20.50" in out
    assert [row["psnr"] for row in table_of(tmp_path / "runs")] == ["20.0", "21.0", "22.0"]
    assert json.loads((tmp_path / "runs" / "sweep.json").read_text())["partial"] == {}
    assert command(*line, "--evaluate", "test_novel_view") == 2
    assert "expected --evaluate or --protocol, got both" in " ".join(capsys.readouterr().err.split())


def test_jobs_are_read_from_a_file(tmp_path: Path):
    path = tmp_path / "jobs.json"
    path.write_text(json.dumps([{"capture": "a"}, {"capture": "/b/c", "name": "d", "steps": 3, "evaluate": ["x"]}]))
    default = jobs.Job(name="default", capture="", run="/runs", seed=5, steps=7)
    first, second = jobs.read_jobs(path, default)
    assert (first.name, first.capture, first.run, first.steps) == ("a", str(tmp_path / "a"), "/runs/a", 7)
    assert second == jobs.Job(name="d", capture="/b/c", run="/runs/d", seed=5, steps=3, evaluate=("x",))
    assert {*jobs.KINDS, "run"} == {field.name for field in fields(jobs.Job)}
    with pytest.raises(ValueError, match="two subjects are called 'a'"):
        jobs.distinct([first, second, first])


BROKEN = {
    "no JSON": "[{",
    "too deep": "[" * 100_000,
    "no list": '{"capture": "a"}',
    "no object": "[1]",
    "no capture": '[{"name": "a"}]',
    "an unknown field": '[{"capture": "a", "stepz": 3}]',
    "text for a number": '[{"capture": "a", "steps": "3"}]',
    "truth for a number": '[{"capture": "a", "steps": true}]',
    "no such recipe": '[{"capture": "a", "recipe": "magic"}]',
    "no such protocol": '[{"capture": "a", "protocol": "zju-Z"}]',
    "numbers for splits": '[{"capture": "a", "evaluate": [1]}]',
    "a name that leads elsewhere": '[{"capture": "a", "name": "../../a"}]',
    "no name": '[{"capture": "a", "name": ""}]',
}


@pytest.mark.parametrize("text", BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_file_of_jobs_is_refused_by_name(text: str, tmp_path: Path):
    path = tmp_path / "jobs.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"jobs\.json: "):
        jobs.read_jobs(path, jobs.Job(name="default", capture="", run="/runs"))


@pytest.mark.usefixtures("importable")
def test_interrupted_it_goes_on(capture: Path, tmp_path: Path):
    runs = tmp_path / "runs"
    line = [
        sys.executable,
        "-P",
        "-c",
        "from avatar.tools import main; main()",
        "sweep",
        "hybrid",
        "--captures",
        capture,
    ]
    line += ["--runs", runs, "--steps", "100000"]
    with subprocess.Popen(list(map(str, line)), stdout=subprocess.PIPE, text=True, start_new_session=True) as sweep:
        events = runs / "dancer" / "events.jsonl"
        deadline = time.monotonic() + 60
        while not (events.is_file() and events.stat().st_size) and time.monotonic() < deadline:
            time.sleep(0.1)
        sweep.send_signal(signal.SIGINT)
        told, _ = sweep.communicate(timeout=60)
    assert sweep.returncode == 130
    assert "The same command goes on from here" in told
    assert "Saved. The same command goes on" in (runs / "dancer.log").read_text()
    (checkpoint,) = (runs / "dancer").glob("checkpoint-*")
    assert int(checkpoint.name.removeprefix("checkpoint-")) >= 10
