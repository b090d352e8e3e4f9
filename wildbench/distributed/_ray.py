"""A job on Ray: pictures are read by tasks and detected in by actors, on whatever nodes there are; parts come here."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from wildbench.datasets.coco import Ints
from wildbench.distributed._parts import NOTHING, Row, columns_of, row_of, schema
from wildbench.distributed._worker import Read, Station, picture_at
from wildbench.errors import DatasetError, JobError, WildbenchError, needs
from wildbench.files import pyarrow
from wildbench.submissions.process import Sandbox

BATCH = 16
"""Pictures that travel to a detector together."""


def answers_on_ray(
    start: Callable[[], Sandbox],
    read: Read,
    image_ids: Ints,
    labels: dict[int, int],
    *,
    workers: int,
    threads: int,
    address: str | None,
) -> Callable[[Iterator[int]], Iterator[Row]]:
    """A worker that has the places of a job answered by a cluster.

    Args:
        start: As for `Station`; its submission's path has to be there on every node.
        read: As for `Station`; likewise.
        image_ids: As for `Station`.
        labels: As for `Station`.
        workers: Detectors, each in an actor.
        threads: Processors of each.
        address: Of a cluster: "auto" for the one of this machine, "ray://host:port"; None starts one here.

    Raises:
        JobError: `cluster-unreachable`.
        MissingExtra: Ray is not installed.
    """

    def work(places: Iterator[int]) -> Iterator[Row]:
        with _cluster(address) as ray:
            todo = list(places)
            rows = (
                ray.data.from_items([{"place": place} for place in todo], override_num_blocks=-(-len(todo) // BATCH))
                .map(_Decode(read), num_cpus=0.5)
                .map_batches(
                    _Detect,
                    fn_constructor_args=(start, image_ids, labels),
                    batch_size=BATCH,
                    batch_format="pyarrow",
                    compute=ray.data.ActorPoolStrategy(size=workers),
                    num_cpus=threads / 2,
                )
            )
            try:
                for table in rows.iter_batches(batch_size=None, batch_format="pyarrow"):
                    yield from (row_of(kept, image_ids) for kept in table.to_pylist())
            except Exception as error:  # Ray wraps what its tasks raise, in one of a dozen ways
                raise _own(error) from None

    return work


@contextmanager
def _cluster(address: str | None) -> Iterator[Any]:
    """Ray's library, connected, without its own lines in the terminal."""
    with needs("ray"):
        import ray
        import ray.data
    try:
        _check_reachable(address)
        ray.init(address, log_to_driver=False, logging_level=logging.ERROR)
    except (OSError, RuntimeError, ValueError) as error:
        what = f"{address}: {' '.join(str(error).split())[:200]}"
        remedy = "give the address of a running cluster, or none to start one here"
        raise JobError(what, code="cluster-unreachable", remedy=remedy) from None
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = context.print_on_execution_start = False
    try:
        yield ray
    finally:
        ray.shutdown()


def _check_reachable(address: str | None) -> None:
    """Fail at once where nothing listens: Ray itself tries for minutes."""
    host, colon, port = (address or "").removeprefix("ray://").rpartition(":")
    if colon and port.isdecimal():
        socket.create_connection((host, int(port)), timeout=10).close()


def _own(error: BaseException) -> BaseException:
    """The error of ours behind one of Ray's."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, WildbenchError):
            return cause
        cause = getattr(cause, "cause", None) or cause.__cause__
    return error


class _Decode:
    """Reads one picture, in a task."""

    def __init__(self, read: Read) -> None:
        self._read = read

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        place, picture = row["place"], picture_at(self._read, int(row["place"]))
        if isinstance(picture, DatasetError):
            return {"place": place, "pixels": b"", "height": 0, "width": 0, "failure": str(picture)}
        height, width = picture.shape[:2]
        pixels = np.ascontiguousarray(picture).tobytes()
        return {"place": place, "pixels": pixels, "height": height, "width": width, "failure": ""}


class _Detect:
    """Holds one detector, in an actor."""

    def __init__(self, start: Callable[[], Sandbox], image_ids: Ints, labels: dict[int, int]) -> None:
        os.environ.pop("OMP_NUM_THREADS", None)  # which Ray sets to the processors that it was asked for
        self._station = Station(start, image_ids, labels)

    def __call__(self, table: Any) -> Any:  # noqa: ANN401 - pyarrow has no types
        return pyarrow().table(columns_of([self._row(row) for row in table.to_pylist()]), schema=schema(sent=True))

    def _row(self, row: dict[str, Any]) -> Row:
        if row["failure"]:
            return Row(row["place"], NOTHING, error=row["failure"])
        pixels = np.frombuffer(row["pixels"], np.uint8).reshape(row["height"], row["width"], 3)
        return self._station.answer(row["place"], pixels)
