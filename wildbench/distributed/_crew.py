"""One shard of a job: what its images still lack is answered by workers, and kept in parts."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from wildbench.distributed._job import Images, Job
from wildbench.distributed._parts import Row, answered, write_part
from wildbench.distributed._shards import Shard
from wildbench.progress import Progress, silent

Worker = Callable[[Iterator[int]], Iterator[Row]]
"""Takes places of images, as many as it can use, and yields a row for each in any order; in a thread of its own."""

EVERYTHING = Shard()

PART_IMAGES, PART_SECONDS = 1024, 60.0
"""A part is written when it has so many images, or so long after the one before: what a kill can cost."""


@dataclass(frozen=True)
class Ran:
    """What a shard came to.

    Attributes:
        images: Of the shard.
        before: How many were answered when it began.
        failed: How many could not be answered now.
    """

    images: int
    before: int
    failed: int


def run_shard(
    job: Job,
    images: Images,
    out: Path,
    workers: Sequence[Worker],
    *,
    shard: Shard = EVERYTHING,
    progress: Progress = silent,
) -> Ran:
    """Answer for every image of a shard that has no answer in `out` yet, and write parts there.

    Args:
        job: What is detected where.
        images: The job's.
        out: Folder of the parts; several processes may write to one.
        workers: Each answers in a thread of its own.
        shard: Which of the images.
        progress: Called as `progress(task, done, total)`.

    Raises:
        JobError: `other-job`, or `part-damaged`: what is in `out`.
        OutputError: It cannot be written; the parts before are kept.
    """
    images.write(out, job)
    own = shard.places(job.images)
    there = answered(out, job, images)
    todo = [place for place in own if place not in there]
    done = before = len(own) - len(todo)
    failed = 0
    task = f"detect {shard}" if shard.count > 1 else "detect"
    progress(task, done, len(own))
    rows: list[Row] = []
    last = time.monotonic()
    try:
        with _Crew(workers, todo) as answers:
            for row in answers:
                rows.append(row)
                done += 1
                failed += row.error is not None
                progress(task, done, len(own))
                if len(rows) >= PART_IMAGES or time.monotonic() - last > PART_SECONDS:
                    full, rows = rows, []
                    write_part(out, job, images, full)
                    last = time.monotonic()
    finally:
        if rows:  # an interrupt loses nothing that was answered
            write_part(out, job, images, rows)
    return Ran(len(own), before, failed)


class _Crew:
    """Workers in threads, who share out the places among them."""

    def __init__(self, workers: Sequence[Worker], todo: Sequence[int]) -> None:
        self._places, self._lock, self._stop = iter(todo), threading.Lock(), threading.Event()
        self._rows: queue.SimpleQueue[Row | BaseException | None] = queue.SimpleQueue()
        self._threads = [threading.Thread(target=self._work, args=(worker,)) for worker in workers]

    def __enter__(self) -> Iterator[Row]:
        for thread in self._threads:
            thread.start()
        return self._answers()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _shared(self) -> Iterator[int]:
        while not self._stop.is_set():
            with self._lock:
                place = next(self._places, None)
            if place is None:
                return
            yield place

    def _work(self, worker: Worker) -> None:
        try:
            for row in worker(self._shared()):
                self._rows.put(row)
        except BaseException as error:
            self._rows.put(error)  # raised again where rows are waited for
        self._rows.put(None)

    def _answers(self) -> Iterator[Row]:
        running = len(self._threads)
        while running:
            row = self._rows.get()
            if isinstance(row, BaseException):
                raise row
            if row is None:
                running -= 1
            else:
                yield row
