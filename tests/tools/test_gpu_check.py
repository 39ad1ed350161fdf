"""The check of the CUDA backends, as far as it goes without a GPU."""

import subprocess
import sys
from importlib import import_module

import pytest
import torch

gpu_check, cuda = import_module("avatar.tools.gpu_check"), import_module("avatar.tools.benches.cuda")


def test_without_a_device_it_says_so_and_fails(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(sys, "argv", ["gpu_check"])
    with pytest.raises(SystemExit) as stopped:
        gpu_check.main()
    assert stopped.value.code == 2
    assert (
        capsys.readouterr().out == f"gpu-check: torch {torch.__version__} finds no CUDA device: nothing was checked\n"
    )


def test_the_report_is_a_table_a_subject():
    report = {
        "machine": {"device": "a GPU", "driver": "1"},
        "packages": [{"package": "gsplat", "state": "ready"}],
        "tests": {"passed": 3, "failed": 0, "skipped": 1},
        "timings": [{"part": "rasterize", "median_ms": 0.25}],
        "left_out": [],
    }
    assert gpu_check._as_markdown(report) == (
        "# CUDA backends\n\ndevice a GPU, driver 1\n\nTests marked `cuda`: 3 passed, 0 failed, 1 skipped.\n\n"
        "| package | state |\n| --- | --- |\n| gsplat | ready |\n\n"
        "| part | median_ms |\n| --- | --- |\n| rasterize | 0.25 |\n\n"
    )


def test_tests_are_counted(monkeypatch: pytest.MonkeyPatch, tmp_path):
    xml = '<testsuites><testsuite tests="9" failures="2" errors="1" skipped="3"/></testsuites>'
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: (tmp_path / "tests.xml").write_text(xml))
    assert gpu_check._run_tests(tmp_path / "tests.xml") == {"passed": 3, "failed": 3, "skipped": 3}
    assert gpu_check._run_tests(tmp_path / "none.xml") == {"passed": 0, "failed": 0, "skipped": 0}


def test_what_it_times_runs_where_tensors_stay_on_the_cpu(monkeypatch: pytest.MonkeyPatch):
    """The smallest scene, by the specification: every case is made and runs."""
    monkeypatch.setattr(torch.Tensor, "cuda", lambda self: self)
    monkeypatch.setattr(cuda, "SCENES", ((60, 16),))
    monkeypatch.setattr(cuda.gsplat, "rasterize", cuda.rasterize_reference)
    cases = cuda.parts()["rasterize"]()
    assert [(case.passes, case.by) for case in cases] == [
        ("forward", "gsplat"),
        ("both", "gsplat"),
        ("forward", "torch"),
        ("both", "torch"),
    ]
    for case in cases:
        case.run()
