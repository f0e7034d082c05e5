"""Runs jobs in worker processes; finished ones are kept, and never done twice."""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from queue import Queue

from mhff.filekinds import Say
from mhff_suite.client import Worker
from mhff_suite.jobs import Done, Job, Store
from mhff_suite.registry import all_tasks

Results = dict[Job, Done]
INTERRUPTED = Done(state="left out", why="not run yet: the suite was interrupted; run it again")


@dataclass
class Progress:
    """How far a run has come, and how long the rest may take."""

    n_jobs: int
    cost_left: float
    """Seconds that the rest takes with the bundled model on one core."""
    n_workers: int
    n_done: int = 0
    cost_done: float = 0.0
    start: float = field(default_factory=time.perf_counter)

    def finish(self, job: Job) -> None:
        """Count a job."""
        cost = all_tasks()[job.task].cost
        self.n_done += 1
        self.cost_done += cost
        self.cost_left = max(0.0, self.cost_left - cost)

    def sentence(self, running: Sequence[Job]) -> str:
        """What runs now, and the time left."""
        names = ", ".join(f"{job.task} ({job.head})" for job in running)
        return f"{self.n_done} of {self.n_jobs} done, {self._left()}: {names}"

    def _left(self) -> str:
        if not self.cost_done:
            return f"about {duration(self.cost_left / self.n_workers)} left"
        elapsed = time.perf_counter() - self.start
        return f"about {duration(elapsed * self.cost_left / self.cost_done)} left"


def duration(seconds: float) -> str:
    """A time in seconds or minutes."""
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"


class Runner:
    """Several workers that share a list of jobs."""

    def __init__(self, n_workers: int, threads: int, store: Store) -> None:
        self._workers = [Worker(threads) for _ in range(n_workers)]
        self._store = store
        self._waiting: deque[Job] = deque()
        self._running: dict[int, Job] = {}
        self._answers: Queue[tuple[Job, Done]] = Queue()
        self._stopped = False

    def run(self, jobs: Sequence[Job], say: Say) -> Results:
        """The results of all jobs; after an interrupt, of those that are finished by then."""
        results = {job: done for job in jobs if (done := self._store.read(job)) is not None}
        left = [job for job in jobs if job not in results]
        try:
            self._run(left, results, say)
        except KeyboardInterrupt:
            self._stopped = True
            for worker in self._workers:
                worker.kill()
        return {job: results.get(job, INTERRUPTED) for job in jobs}

    def _run(self, jobs: Sequence[Job], results: Results, say: Say) -> None:
        costs = {name: task.cost for name, task in all_tasks().items()}
        self._waiting.extend(sorted(jobs, key=lambda job: -costs[job.task]))
        if not jobs:
            return
        for model in dict.fromkeys(job.model for job in jobs):
            say(f"opening {model} (it is compiled once on this machine, about a minute)")
            self._workers[0].ask("prepare", next(job for job in jobs if job.model == model))
        progress = Progress(len(jobs), sum(costs[job.task] for job in jobs), len(self._workers))
        threads = [_start(self._serve, index) for index in range(len(self._workers))]
        for _ in jobs:
            say(progress.sentence(list(self._running.values())))
            job, done = self._answers.get()
            results[job] = done
            self._store.write(job, done)
            progress.finish(job)
        for thread in threads:
            thread.join()

    def _serve(self, index: int) -> None:
        """Give a worker one job after the other."""
        worker = self._workers[index]
        while not self._stopped:
            try:
                job = self._waiting.popleft()
            except IndexError:
                break
            self._running[index] = job
            self._answers.put((job, _result(worker, job)))
            self._running.pop(index)
        worker.stop()


def _result(worker: Worker, job: Job) -> Done:
    """The result of a job, whatever happens: the main thread waits for one of each job."""
    try:
        return worker.ask("run", job)
    except Exception as error:
        worker.kill()
        worker.stop()
        return Done(state="failed", why=f"{type(error).__name__}: {error}")


def _start(function: Callable[[int], None], index: int) -> threading.Thread:
    thread = threading.Thread(target=function, args=(index,), daemon=True)
    thread.start()
    return thread


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0))
