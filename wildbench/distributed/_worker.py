"""A detector as a worker: what cannot be read or answered is a row that says so, and a crash is started over."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial

import numpy as np
import numpy.typing as npt

from wildbench.datasets.coco import Ints
from wildbench.distributed._crew import Worker
from wildbench.distributed._parts import NOTHING, Row
from wildbench.errors import DatasetError, DetectorError
from wildbench.evaluation import detections_of
from wildbench.submissions.process import Sandbox

Pixels = npt.NDArray[np.uint8]

Read = Callable[[int], Pixels]
"""Gives the pixels of the image at a place; raises DatasetError where there are none."""

DEPTH = 4
"""Pictures that wait, decoded, for the detector."""

MOST_CRASHES = 3
"""In a row; a detector that does not answer after so many new starts answers no image."""


class Station:
    """A detector in a process of its own, which is started when it is first asked, and again after a crash.

    Args:
        start: Gives the detector, not entered yet.
        image_ids: int64 [image]: the ids of the job's images.
        labels: The category id of each label that the data set knows.
    """

    def __init__(self, start: Callable[[], Sandbox], image_ids: Ints, labels: Mapping[int, int]) -> None:
        self._start, self._ids, self._labels = start, image_ids, dict(labels)
        self._box: Sandbox | None = None
        self._crashes = 0

    def answer(self, place: int, picture: Pixels | DatasetError) -> Row:
        """What the detector says of one picture, or why it says nothing.

        Raises:
            DetectorError: It has crashed too often.
            SubmissionError: It cannot be opened.
        """
        if isinstance(picture, DatasetError):
            return Row(place, NOTHING, error=str(picture))
        digest = _sha256(picture)
        try:
            self._box = self._box or self._start().__enter__()
            answer = self._box.predict(picture)
        except DetectorError as error:
            self.close()
            self._crashes += 1
            if self._crashes == MOST_CRASHES:
                raise
            return Row(place, NOTHING, digest, error=str(error))
        self._crashes = 0
        detections = detections_of(int(self._ids[place]), answer.detections, self._labels)
        return Row(place, detections, digest, seconds=answer.seconds)

    def close(self) -> None:
        """End its process."""
        if self._box:
            self._box.__exit__(None, None, None)
        self._box = None


def local_worker(start: Callable[[], Sandbox], read: Read, image_ids: Ints, labels: Mapping[int, int]) -> Worker:
    """A worker of this process: pictures are read ahead of the detector."""
    return partial(_work, Station(start, image_ids, labels), read)


def _work(station: Station, read: Read, places: Iterator[int]) -> Iterator[Row]:
    try:
        for place, picture in _ahead(read, places):
            yield station.answer(place, picture)
    finally:
        station.close()


def _ahead(read: Read, places: Iterator[int]) -> Iterator[tuple[int, Pixels | DatasetError]]:
    """Each place with its picture, or with what is wrong with it, read by a thread while earlier ones are looked at."""
    waiting: deque[tuple[int, Future[Pixels | DatasetError]]] = deque()
    with ThreadPoolExecutor(1, thread_name_prefix="decode") as pool:
        try:
            for place in places:
                waiting.append((place, pool.submit(picture_at, read, place)))
                if len(waiting) > DEPTH:
                    first, future = waiting.popleft()
                    yield first, future.result()
            for first, future in waiting:
                yield first, future.result()
        finally:
            for _, future in waiting:
                future.cancel()


def picture_at(read: Read, place: int) -> Pixels | DatasetError:
    """The picture at a place, or what is wrong with it."""
    try:
        return read(place)
    except DatasetError as error:
        return error


def _sha256(pixels: Pixels) -> str:
    """Of the picture's height, width and pixels."""
    digest = hashlib.sha256(f"{pixels.shape[0]} {pixels.shape[1]}\n".encode())
    digest.update(np.ascontiguousarray(pixels).data)
    return digest.hexdigest()
