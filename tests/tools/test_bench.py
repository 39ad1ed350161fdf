"""What ``avatar bench`` makes of its cases; how fast they are is no test."""

import mmap
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable
from importlib import import_module
from types import ModuleType

import numpy as np
import pytest

clock, memory, plot, suite, table = (
    import_module(f"avatar.tools.benches.{name}") for name in ("clock", "memory", "plot", "suite", "table")
)
Case, Curve = clock.Case, suite.Curve


def case(run: Callable[[], object] = lambda: None, **fields: object):
    return Case(**{"scene": "small", "passes": "both", "run": run} | fields)


def test_cases_run_in_turns_and_as_often_as_they_say():
    order = []
    clock.measure([case(lambda: order.append("a"), alone=False), case(lambda: order.append("b"), rounds=1)], 3)
    assert order == ["a", "b", "a", "b", "a", "a"]


def test_a_peer_is_compared_with_the_engine():
    times = {"engine": 2.0, "torch": 20.0}
    timings = [clock.Timing(case=case(by=by), memory_mb=None, wall_ms=[ms], cpu_ms=[ms]) for by, ms in times.items()]
    assert [row["times_engine"] for row in clock.figures(timings)] == [None, 10.0]


@pytest.mark.parametrize(
    ("value", "expected"), [(1.0, "goal"), (1.5, "floor"), (2.5, "missed"), (float("nan"), "missed")]
)
def test_verdict(value: float, expected: str):
    assert clock.verdict(value, 1.0, 2.0) == expected
    assert clock.verdict(value, None, None) is None


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells")
def test_extra_memory_is_the_peak_of_one_run():
    """Fresh pages: what malloc has kept from earlier would not count as more."""

    def run() -> None:
        np.frombuffer(mmap.mmap(-1, 40 << 20), np.uint8).fill(1)

    assert memory.extra_memory_mb(run) == pytest.approx(40, abs=4)


def test_tables_and_plot(monkeypatch: pytest.MonkeyPatch):
    """Every case and curve appears; a goal gives a verdict and a mark."""
    cases = [case(goal_ms=1e9, floor_ms=2e9, rounds=2), case(by="a <peer>", rounds=1)]
    module = ModuleType("skin")
    vars(module)["cases"] = lambda: cases
    vars(module)["curves"] = lambda: [Curve(name="c", along="n", points=[(1.0, case()), (9.0, case())])]
    monkeypatch.setattr(suite, "import_module", lambda *_: module)
    tables = dict(suite.measure_tables("skin", 2, curves=True))
    assert list(tables) == ["skin", "skin, curves"]
    assert [row["verdict"] for row in tables["skin"]] == ["goal", None]
    assert {row["along"] for row in tables["skin, curves"]} == {"n", "threads"}
    assert table.as_table("skin", tables["skin"]).row_count == 2
    drawn = ET.fromstring(plot.draw(tables))
    assert len(drawn.findall(".//*[@class='goal']")) == 1
    assert "small · both · a <peer>" in {text.text for text in drawn.iter("{http://www.w3.org/2000/svg}text")}


def test_all_leaves_out_what_cannot_be_imported(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.setattr(suite, "NAMES", ("nothing",))
    assert list(suite.measure_tables("all", 1, curves=False)) == []
    assert "bench nothing: left out: No module named" in capsys.readouterr().out


def test_wrong_options_are_refused(command: Callable[..., int], capsys: pytest.CaptureFixture[str]):
    assert command("bench", "skin", "--rounds", 0) == 2
    assert command("bench", "skin", "--plot", "speed.png") == 2
    assert "expected at least 1, got 0" in capsys.readouterr().err
