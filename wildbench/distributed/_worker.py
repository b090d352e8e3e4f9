"""A detector as a worker: pictures are read ahead of it, and what cannot be read or answered is a row that says so."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import numpy.typing as npt

from wildbench.distributed._parts import NOTHING, Row
from wildbench.errors import DatasetError, DetectorError
from wildbench.evaluation import detections_of
from wildbench.submissions.process import Answer, Sandbox

Pixels = npt.NDArray[np.uint8]

DEPTH = 4
"""Pictures that wait, decoded, for the detector."""

MOST_CRASHES = 3
"""In a row; a detector that does not answer after so many new starts answers no image."""


def sandbox_worker(
    start: Callable[[], Sandbox],
    read: Callable[[int], Pixels],
    image_ids: npt.NDArray[np.int64],
    labels: Mapping[int, int],
) -> Callable[[Iterator[int]], Iterator[Row]]:
    """A worker that shows pictures to a detector in a process of its own.

    Args:
        start: Gives the detector, not entered yet; called again after a crash.
        read: The pixels of the image at a place; raises DatasetError where there are none.
        image_ids: int64 [image]: the ids of the images.
        labels: The category id of each label that the data set knows.
    """

    def work(places: Iterator[int]) -> Iterator[Row]:
        box: Sandbox | None = None
        crashes = 0
        try:
            for place, picture in _ahead(read, places):
                if isinstance(picture, DatasetError):
                    yield Row(place, NOTHING, error=str(picture))
                    continue
                digest = _sha256(picture)
                try:
                    box = box or start().__enter__()
                    answer = box.predict(picture)
                except DetectorError as error:
                    crashes += 1
                    if crashes == MOST_CRASHES:
                        raise
                    if box:
                        box.__exit__(None, None, None)
                    box = None
                    yield Row(place, NOTHING, digest, error=str(error))
                else:
                    crashes = 0
                    yield _row(place, int(image_ids[place]), digest, answer, dict(labels))
        finally:
            if box:
                box.__exit__(None, None, None)

    return work


def _row(place: int, image_id: int, digest: str, answer: Answer, labels: dict[int, int]) -> Row:
    detections = detections_of(image_id, answer.detections, labels)
    return Row(place, detections, digest, seconds=answer.seconds)


def _ahead(read: Callable[[int], Pixels], places: Iterator[int]) -> Iterator[tuple[int, Pixels | DatasetError]]:
    """Each place with its picture, or with what is wrong with it, read by a thread while earlier ones are looked at."""
    waiting: deque[tuple[int, Future[Pixels]]] = deque()
    with ThreadPoolExecutor(1, thread_name_prefix="decode") as pool:
        try:
            for place in places:
                waiting.append((place, pool.submit(read, place)))
                if len(waiting) > DEPTH:
                    yield _result(*waiting.popleft())
            while waiting:
                yield _result(*waiting.popleft())
        finally:
            for _, future in waiting:
                future.cancel()


def _result(place: int, future: Future[Pixels]) -> tuple[int, Pixels | DatasetError]:
    try:
        return place, future.result()
    except DatasetError as error:
        return place, error


def _sha256(pixels: Pixels) -> str:
    """Of the picture's height, width and pixels."""
    digest = hashlib.sha256(f"{pixels.shape[0]} {pixels.shape[1]}\n".encode())
    digest.update(np.ascontiguousarray(pixels).data)
    return digest.hexdigest()
