"""What is done to a run folder, and what never is."""

from dataclasses import replace
from pathlib import Path

import pytest

from avatar.runs import RunRecord, read_record
from tools.runs import open_run

RECORD = RunRecord(recipe="hybrid", seed=0, capture="dancer", split="train", frame_rate_hz=8.0)


def test_a_new_folder_gets_a_record(tmp_path: Path):
    open_run(tmp_path / "a" / "run", RECORD, overwrite=False)
    assert read_record(tmp_path / "a" / "run") == RECORD


def test_a_strange_folder_is_refused_untouched(tmp_path: Path):
    (tmp_path / "report").mkdir()
    (tmp_path / "report" / "thesis.tex").write_text("years of work")
    for overwrite in (False, True):
        with pytest.raises(ValueError, match="not empty and not a run folder"):
            open_run(tmp_path, RECORD, overwrite)
    assert (tmp_path / "report" / "thesis.tex").is_file()


def test_a_run_killed_at_its_first_write_begins_again(tmp_path: Path):
    (tmp_path / ".fit.123.json").write_text('{"rec')
    open_run(tmp_path, RECORD, overwrite=False)
    assert read_record(tmp_path) == RECORD


def test_a_file_is_refused(tmp_path: Path):
    (tmp_path / "run").write_text("")
    with pytest.raises(ValueError, match="not a run folder"):
        open_run(tmp_path / "run", RECORD, overwrite=True)


def test_overwriting_deletes_what_a_run_wrote(tmp_path: Path):
    open_run(tmp_path, RECORD, overwrite=False)
    for name in ("checkpoint-0000010/config.json", ".checkpoint-20.tmp/config.json", "report/index.html", "notes/a"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text("")
    (tmp_path / "events.jsonl").write_text("")
    (tmp_path / "evaluation").symlink_to(tmp_path / "notes")
    open_run(tmp_path, replace(RECORD, seed=1), overwrite=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fit.json", "notes"]
    assert (tmp_path / "notes" / "a").is_file()
    assert read_record(tmp_path) == replace(RECORD, seed=1)


def test_a_broken_record_is_named(tmp_path: Path):
    (tmp_path / "fit.json").write_text('{"recipe": 1}')
    with pytest.raises(ValueError, match=r"fit\.json: not the record of a run"):
        open_run(tmp_path, RECORD, overwrite=False)
    open_run(tmp_path, RECORD, overwrite=True)
    assert read_record(tmp_path) == RECORD
