"""Where the jobs of a sweep run: processes here, or Ray on many machines. The only file that asks for ``ray``."""

import os
import time
from collections.abc import Callable, Generator, Sequence
from importlib import import_module
from types import ModuleType
from typing import Literal

import torch

from .console import usable_cores
from .job_process import POLL_SECONDS, JobProcess, run_job
from .jobs import Job, Outcome

# Runs jobs, of which each takes so many cores; gives what became of them as they end. Closed early, it stops the rest.
Executor = Callable[[Sequence[Job], int], Generator[Outcome, None, None]]

SAVING_SECONDS = 60.0  # for jobs that are stopped


def extra(name: Literal["ray"]) -> ModuleType:
    """The optional package, which is told to tell nobody; ImportError with the pip line where it is missing."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        return import_module(name)
    except ImportError as error:
        raise ImportError(f"{name}: cannot be imported ({error}): run `pip install 'avatar[cluster]'`") from error


def locally(jobs: Sequence[Job], cores: int) -> Generator[Outcome, None, None]:
    """As many at once as the cores of this machine allow; on CUDA one at a time."""
    on_cuda = any(job.device == "cuda" for job in jobs)
    places = 1 if on_cuda else max(1, usable_cores() // cores)
    waiting, running = list(jobs), list[JobProcess]()
    try:
        while waiting or running:
            while waiting and len(running) < places:
                running.append(JobProcess(waiting.pop(0), cores))
            for process in [process for process in running if process.is_over]:
                running.remove(process)
                yield process.outcome()
            time.sleep(POLL_SECONDS)
    finally:
        for process in running:
            process.stop()
        for process in running:
            process.outcome()


def on_ray(jobs: Sequence[Job], cores: int, address: str | None = None) -> Generator[Outcome, None, None]:
    """Tasks of the Ray cluster at ``address``, or of one that is begun here; a lost machine's are taken up by others.

    Captures and runs must lie at the same paths on all machines.
    """
    ray = extra("ray")
    if address:
        ray.init(address=address, log_to_driver=False)
    else:  # it has room for one job at least, as a task without room would wait for ever
        gpus = max(1, torch.cuda.device_count()) if any(job.device == "cuda" for job in jobs) else 0
        cpus = max(cores, usable_cores())
        ray.init(num_cpus=cpus, num_gpus=gpus, log_to_driver=False, include_dashboard=False, address="local")
    try:
        tasks = {_task(ray, job, cores): job for job in jobs}
        try:
            while tasks:
                (ended, *_), _ = ray.wait(list(tasks))
                yield _outcome(ray, ended, tasks.pop(ended))
        finally:
            for task in tasks:
                ray.cancel(task)
            if tasks:
                ray.wait(list(tasks), num_returns=len(tasks), timeout=SAVING_SECONDS)
    finally:
        ray.shutdown()


def _task(ray: ModuleType, job: Job, cores: int) -> object:
    gpus = 1 if job.device == "cuda" else 0
    return ray.remote(run_job).options(num_cpus=cores, num_gpus=gpus, name=job.name).remote(job, cores)


def _outcome(ray: ModuleType, task: object, job: Job) -> Outcome:
    try:
        return ray.get(task)
    except ray.exceptions.RayError as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        return Outcome(name=job.name, state="failed", message=lines[-1].strip())
