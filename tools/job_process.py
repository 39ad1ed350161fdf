"""A job in a process of its own, so that whatever happens to it happens to no other.

The process stops, saved, as soon as its standard input closes: on Ctrl-C, and also where whoever started it is killed.
"""

import json
import logging
import os
import signal
import subprocess
import sys
import time
from _thread import interrupt_main
from dataclasses import asdict
from pathlib import Path
from threading import Thread

from avatar.captures import open_capture
from avatar.checkpoint import newest_checkpoint
from avatar.evaluate import METRICS

from . import evaluate, fit
from .console import INTERRUPTED, errors_in_a_line, log_to, say, usable_cores
from .jobs import Job, Outcome, read_result, write_result
from .protocol import reports_of

POLL_SECONDS = 0.1
MAX_MESSAGE = 300  # characters
LOG_TAIL = 8192  # bytes


class JobProcess:
    """A job that runs. Owns its process."""

    def __init__(self, job: Job, cores: int) -> None:
        """Start it on so many cores of this machine; what it prints is appended to its log."""
        self.job = job
        job.log.parent.mkdir(parents=True, exist_ok=True)
        environment = {**os.environ, "LOCAL_WORLD_SIZE": str(max(1, usable_cores() // cores)), "COLUMNS": "120"}
        with job.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", __name__, json.dumps(asdict(job))],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,  # Ctrl-C reaches it once, through its standard input
            )

    @property
    def is_over(self) -> bool:
        """Whether it has ended."""
        return self._process.poll() is not None

    def stop(self) -> None:
        """Have it save and end."""
        if self._process.stdin:
            self._process.stdin.close()

    def outcome(self) -> Outcome:
        """What became of it, once it is over."""
        code = self._process.wait()
        self.stop()
        result = read_result(self.job)
        if code == 0 and result:
            return result
        if code == INTERRUPTED:
            return Outcome(name=self.job.name, state="stopped")
        return Outcome(name=self.job.name, state="failed", message=self._reason(code))

    def _reason(self, code: int) -> str:
        if code < 0:
            return f"killed by {signal.Signals(-code).name}{', out of memory?' if code == -signal.SIGKILL else ''}"
        with self.job.log.open("rb") as log:
            log.seek(max(0, self.job.log.stat().st_size - LOG_TAIL))
            lines = log.read().decode("utf-8", "replace").split("\n")
        last = next((line.strip() for line in reversed(lines) if line.strip()), f"ended with code {code}")
        return last.removeprefix("avatar: ")[:MAX_MESSAGE]


def run_job(job: Job, cores: int) -> Outcome:
    """Run a job to its end; an interruption stops it, saved."""
    process = JobProcess(job, cores)
    try:
        while not process.is_over:
            time.sleep(POLL_SECONDS)  # not in a wait, which a cancelled task would sit out
    finally:
        process.stop()
    return process.outcome()


def main() -> None:
    """The process: fit and measure the job in ``sys.argv``."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    Thread(target=_interrupt_when_input_closes, daemon=True).start()
    log_to(logging.getLogger("avatar"))
    with errors_in_a_line():
        row = json.loads(sys.argv[1])
        job = Job(**{**row, "evaluate": tuple(row["evaluate"])})
        _fit(job)
        figures = _judge(job) if job.protocol else {s: _evaluate(job, s) for s in job.evaluate or _tests(job)}
        progress = json.loads((newest_checkpoint(Path(job.run)) / "training.json").read_text())
        outcome = Outcome(
            name=job.name, state="done", steps=progress["step"], seconds=progress["seconds"], figures=figures
        )
        write_result(job, outcome)
        say(f"{job.name}: done")


def _interrupt_when_input_closes() -> None:
    while os.read(0, 1):
        pass
    interrupt_main()  # not a signal, which Ray's workers block, and what they start


def _fit(job: Job) -> None:
    fit.run(
        fit.FitCommand(
            recipe=job.recipe,
            capture=Path(job.capture),
            run=Path(job.run),
            split=job.split or job.protocol,
            budget_seconds=job.budget_seconds,
            steps=job.steps,
            device=job.device,
            prior=Path(job.prior) if job.prior else None,
            refine=job.refine,
            seed=job.seed,
        )
    )


def _judge(job: Job) -> dict[str, dict[str, float | None]]:
    run = Path(job.run)
    command = evaluate.EvaluateCommand(run=run, capture=Path(job.capture), device=job.device, protocol=job.protocol)
    evaluate.run(command)
    return {
        f"{report.protocol} {report.part}": {name: report.mean(name) for name in report.images[0].figures}
        for report in reports_of(run, str(job.protocol))
    }


def _tests(job: Job) -> list[str]:
    return [name for name in open_capture(Path(job.capture)).splits if name.startswith("test")]


def _evaluate(job: Job, split: str) -> dict[str, float | None]:
    run = Path(job.run)
    evaluate.run(evaluate.EvaluateCommand(run=run, capture=Path(job.capture), split=split, device=job.device))
    stored = json.loads((run / "evaluation" / f"{split}.json").read_text())
    return {metric: stored[metric] for metric in METRICS}


if __name__ == "__main__":
    main()
