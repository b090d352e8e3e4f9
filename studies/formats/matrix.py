"""One artifact against wildbench: does it go in, with or without a manifest, and are its detections the tool's own."""

from __future__ import annotations

import json
import multiprocessing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from studies.formats.pictures import read_picture
from wildbench.errors import WildbenchError

LOWEST = 0.02
"""Detections are compared from this score on."""

TIE = 1e-6
"""A score this near `LOWEST` may stand on either side."""

CLOSE = 0.01
"""Pixels by which a corner may differ where the resize is the same."""

NEAR = 2.0
"""Pixels by which it may differ where it is not: a side of the resized picture was rounded."""

SECONDS = 300
"""An artifact that takes longer has failed."""

Rows = list[list[Any]]
"""x1, y1, x2, y2, score, category: one detection each."""


@dataclass(frozen=True)
class Try:
    """What became of one artifact.

    Attributes:
        artifact: What its workshop wrote: name, tool, version, file, what, sidecar, same_resize, refused, detections.
        goes_in: Whether it was opened and ran.
        alone: Whether it did so without a manifest.
        message: The refusal, if any, in one line.
        count: Detections from `LOWEST` on, wildbench's and the tool's, over all pictures.
        corner: The greatest difference of a corner in pixels; None where the detections are not the same ones.
        score: The greatest difference of a score, likewise.
    """

    artifact: Mapping[str, Any]
    goes_in: bool
    alone: bool = False
    message: str = ""
    count: tuple[int, int] = (0, 0)
    corner: float | None = None
    score: float | None = None

    @property
    def verdict(self) -> str:
        """One or two words: "exact", "near", "differs", "refused", "REFUSED" or "not named"."""
        word = self.artifact.get("refused")
        if word is not None:
            return "named" if not self.goes_in and word.lower() in self.message.lower() else "NOT NAMED"
        if not self.goes_in:
            return "REFUSED"
        if self.corner is None:
            return "DIFFERS"
        if self.corner <= CLOSE:
            return "exact"
        return "near" if self.corner <= NEAR and not self.artifact["same_resize"] else "DIFFERS"


def read_artifacts(folder: Path) -> list[dict[str, Any]]:
    """What a family's workshop wrote down, in the order of the names."""
    return [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))]


def try_artifact(artifact: Mapping[str, Any], folder: Path, pictures: Path) -> Try:
    """Try one artifact in a process of its own: a runtime that crashes ends that process alone.

    Args:
        artifact: What its workshop wrote down.
        folder: Of its family.
        pictures: The folder of the pictures.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["wildbench.submissions.process._child", "cv2"])
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_try, args=(theirs, dict(artifact), folder, pictures))
    process.start()
    theirs.close()
    try:
        result = ours.recv() if ours.poll(SECONDS) else Try(artifact, False, message=f"took more than {SECONDS} s")
    except EOFError:
        process.join()
        result = Try(artifact, False, message=f"its process ended with exit code {process.exitcode}")
    process.kill()
    process.join()
    assert isinstance(result, Try)
    return result


def _try(channel: Connection, artifact: dict[str, Any], folder: Path, pictures: Path) -> None:
    try:
        channel.send(_tried(artifact, folder, pictures))
    except Exception as error:
        channel.send(Try(artifact, False, message=f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"))


def _tried(artifact: dict[str, Any], folder: Path, pictures: Path) -> Try:
    file = folder / artifact["file"]
    sidecar = file.with_name(f"{file.stem if file.is_file() else file.name}.manifest.json")
    sidecar.unlink(missing_ok=True)
    try:
        finds, alone = _detections(file, artifact, pictures), True
    except WildbenchError as error:
        if artifact["sidecar"] is None:
            return _refused(artifact, file, error)
        sidecar.write_text(json.dumps(artifact["sidecar"]), encoding="utf-8")
        try:
            finds, alone = _detections(file, artifact, pictures), False
        except WildbenchError as error:
            return _refused(artifact, file, error)
        finally:
            sidecar.unlink()
    return compare(artifact, finds, alone)


def _refused(artifact: dict[str, Any], file: Path, error: WildbenchError) -> Try:
    """The refusal without the path, in which the artifact's own name may stand."""
    return Try(artifact, False, message=str(error).replace(f"{file}: ", ""))


def _detections(file: Path, artifact: Mapping[str, Any], pictures: Path) -> dict[str, Rows]:
    from wildbench.submissions.process import open_submission

    opened = open_submission(file)
    names = opened.manifest.categories
    finds: dict[str, Rows] = {}
    for picture in artifact["detections"]:
        found = opened.predict(read_picture(pictures / picture))
        rows = zip(found.boxes.tolist(), found.scores.tolist(), found.labels.tolist(), strict=True)
        finds[picture] = [[*box, score, names[label - 1]] for box, score, label in rows]
    return finds


def compare(artifact: Mapping[str, Any], finds: Mapping[str, Rows], alone: bool) -> Try:
    """Compare wildbench's detections with the tool's own, picture by picture.

    Each of the tool's is paired with the nearest of ours of its category: they must be as many, but for those
    whose score is a tie with the threshold.
    """
    counts, corners, scores = np.zeros(2, int), [0.0], [0.0]
    same = True
    for picture, wanted in artifact["detections"].items():
        ours, theirs = (_by_category(rows) for rows in (finds[picture], wanted))
        counts += [sum(map(len, ours.values())), sum(map(len, theirs.values()))]
        for category in ours.keys() | theirs.keys():
            pairs = _paired(ours.get(category), theirs.get(category))
            same &= pairs is not None
            corners.append(0.0 if pairs is None else pairs[0])
            scores.append(0.0 if pairs is None else pairs[1])
    total = (int(counts[0]), int(counts[1]))
    if not same:
        return Try(artifact, True, alone, count=total)
    return Try(artifact, True, alone, count=total, corner=max(corners), score=max(scores))


def _by_category(rows: Rows) -> dict[str, npt.NDArray[np.float64]]:
    """x1, y1, x2, y2, score of those near or above the threshold, by category; without area they are no detections."""
    grouped: dict[str, list[list[float]]] = {}
    for *numbers, category in rows:
        area = numbers[2] > numbers[0] and numbers[3] > numbers[1]
        if area and numbers[4] >= LOWEST - TIE:
            grouped.setdefault(category, []).append(numbers)
    return {category: np.array(numbers, np.float64) for category, numbers in grouped.items()}


def _paired(ours: npt.NDArray[np.float64] | None, theirs: npt.NDArray[np.float64] | None) -> tuple[float, float] | None:
    """The greatest difference of a corner and of a score when paired one to one; None where they are not as many."""
    from scipy.optimize import linear_sum_assignment

    if ours is None or theirs is None:
        rows = ours if theirs is None else theirs
        return None if rows is None or (rows[:, 4] > LOWEST + TIE).any() else (0.0, 0.0)
    corner = np.abs(ours[:, None, :4] - theirs[None, :, :4]).max(axis=2)
    score = np.abs(ours[:, None, 4] - theirs[None, :, 4])
    left, right = linear_sum_assignment(corner + score)
    alone = (
        np.delete(ours[:, 4], left) > LOWEST + TIE,
        np.delete(theirs[:, 4], right) > LOWEST + TIE,
    )
    if any(some.any() for some in alone):
        return None
    return float(corner[left, right].max()), float(score[left, right].max())


def totals(tries: Sequence[Try]) -> str:
    """The matrix's last lines."""
    number = len(tries)

    def share(count: int, of: int) -> str:
        return f"{count} of {of} ({100 * count / max(1, of):.0f} %)"

    goes_in = [one for one in tries if one.goes_in]
    exact = sum(one.verdict in ("exact", "near") for one in goes_in)
    alone = sum(one.alone for one in goes_in)
    named = sum(one.verdict == "named" for one in tries)
    return (
        f"{number} artifacts: {share(len(goes_in), number)} go in, {share(alone, number)} without a manifest; "
        f"of those that go in {share(alone, len(goes_in))} need none, "
        f"and {share(exact, len(goes_in))} have the tool's own detections; "
        f"{named} others are refused by their name"
    )
