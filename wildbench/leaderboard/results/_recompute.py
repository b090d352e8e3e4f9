"""The figures of a scorecard, computed again from its detections and its submission."""

from __future__ import annotations

import logging
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from wildbench.datasets.coco import Dataset
from wildbench.datasets.registry import load_dataset, names
from wildbench.errors import DatasetError, SubmissionError, WildbenchError
from wildbench.files import sha256_of
from wildbench.leaderboard.results._results import scored_categories
from wildbench.measures.accuracy import measure_accuracy, measure_errors
from wildbench.measures.size import measure_size
from wildbench.scorecard import Protocol, Record, Scorecard
from wildbench.text import printable

_HASH = re.compile(r"[0-9a-f]{64}")


def wrong_claims(card: Scorecard) -> list[str]:
    """Texts that cannot be printed, hashes that are none, and another protocol than this wildbench's, a line each.

    Characters that steer a terminal or turn the direction of a text are taken nowhere in a card: names of categories,
    of processors and of files end up in the same tables.

    Args:
        card: What is claimed.
    """
    found = list(_wrong_texts("", card.model_dump(mode="json")))
    if not card.submission.name.strip():
        found.append("submission.name: a name of blanks cannot be printed; name it in plain characters")
    rules = Protocol(engine=card.protocol.engine, trusted=card.protocol.trusted)
    for name, here in rules:
        if getattr(card.protocol, name) != here:
            claimed = getattr(card.protocol, name)
            found.append(f"protocol.{name} is {shortened(claimed)}, here it is {here}; score it with this wildbench")
    return found


def wrong_categories(card: Scorecard, data: Dataset, results: list[dict[str, Any]]) -> list[str]:
    """Categories that a card says its detector does not know, and that it has detected, a line each.

    They are not in its means: whoever leaves out the categories it is bad at looks better.

    Args:
        card: What is claimed.
        data: What it was scored on.
        results: Its detections.
    """
    names = {entry["id"]: entry["name"] for entry in data.categories}
    found = {names[result["category_id"]] for result in results}
    return [
        f"accuracy.unknown_categories holds {name}, which its detections hold too; score them again"
        for name in sorted(found.intersection(card.accuracy.unknown_categories))
    ]


def shortened(value: object) -> str:
    """A value as a message shows it: at most 60 characters, each of which can be printed."""
    text = repr(value) if isinstance(value, (float, str)) else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _wrong_texts(place: str, value: object) -> Iterator[str]:
    if isinstance(value, dict):
        for key, one in value.items():
            if not key.isprintable():
                yield f"{place}: the name {shortened(key)} in it cannot be printed; use plain characters"
            yield from _wrong_texts(f"{place}.{key}".lstrip("."), one)
    elif isinstance(value, list):
        for number, one in enumerate(value):
            yield from _wrong_texts(f"{place}.{number}", one)
    elif isinstance(value, str):
        key = place.rpartition(".")[2]
        if not value.isprintable():
            yield f"{place}: {shortened(value)} cannot be printed; use plain characters"
        elif (key == "parent" or key.endswith("sha256")) and not _HASH.fullmatch(value):
            yield f"{place}: {shortened(value)} is no SHA-256, which is 64 digits of 0-9 and a-f"


TOLERANCE = 1e-9
"""Between two machines, whose sums may differ in the last bits; the chain holds every digit."""

MOST_NAMED = 8
"""Figures of one card that are named one by one; the rest are counted."""

_NOT_KEPT = {"accuracy.predictions_file", "accuracy.uncertainty.engine", "errors.images.file", "errors.images.sha256"}
"""Names of files beside the original card, and the version of a library."""


class DataSets:
    """The data sets at hand: registered ones, and those that were named; each is read once.

    Args:
        named: COCO files, or registered names, beside the name in a card.
    """

    def __init__(self, named: Sequence[Path | str] = ()) -> None:
        self._named = [str(one) for one in named]
        self._read: dict[tuple[str, str, int | None], Dataset] = {}

    def of(self, card: Scorecard) -> Dataset:
        """The data set a card was scored on.

        Raises:
            DatasetError: It is not at hand, or only in another version.
        """
        wanted = card.dataset
        place = f"{wanted.name} {wanted.split or ''}".strip()
        others = []
        for name in [*self._named, *(name for name in names() if name == wanted.name)]:
            key = (name, wanted.split or "test", wanted.limit)
            if key not in self._read:
                self._read[key] = load_dataset(name, split=key[1], limit=key[2], with_images=False)
            if self._read[key].sha256 == wanted.sha256:
                return self._read[key]
            others.append(self._read[key].sha256)
        if others:
            raise DatasetError(
                f"scored on another version of {place}: its hash is {wanted.sha256[:12]}, "
                f"here it is {' or '.join(other[:12] for other in others)}",
                remedy="score the detections again, or name that version by --dataset",
            )
        raise DatasetError(f"scored on {place}, which is not here", remedy="name its COCO JSON by --dataset")


def wrong_accuracy(card: Scorecard, data: Dataset, results: list[dict[str, Any]]) -> list[str]:
    """Figures of accuracy and of errors that its detections do not give, intervals included, a line each.

    Args:
        card: What is claimed.
        data: What it was scored on.
        results: Its detections.
    """
    if card.dataset.model_copy(update={"name": data.name, "split": data.split}) != data.record(card.dataset.limit):
        return ["dataset: its images, boxes or categories are not those of the data set with its hash"]
    if card.accuracy.uncertainty is None:
        return ["accuracy: no intervals: score the detections again with this wildbench"]
    scored = scored_categories(card, data)
    accuracy = measure_accuracy(
        data,
        results,
        predictions_file=card.accuracy.predictions_file,
        predictions_sha256=card.accuracy.predictions_sha256,
        scored_categories=scored,
    )
    found = list(_differences("accuracy", card.accuracy, accuracy))
    if card.errors is not None:
        with tempfile.TemporaryDirectory() as folder:
            errors = measure_errors(data, results, images_file=Path(folder) / "images.csv", scored_categories=scored)
        found += _differences("errors", card.errors, errors)
    return wrong_categories(card, data, results) + _counted(found, "its detections give")


def wrong_sizes(card: Scorecard, submission: Path) -> list[str]:
    """Figures of size that the submission itself does not give, a line each.

    Args:
        card: What is claimed.
        submission: The file with the card's hash.
    """
    try:
        return _counted(list(_differences("size", card.size, measure_size(submission))), "its submission gives")
    except WildbenchError as error:
        return [f"size: {error}"]


def submissions_in(folder: Path | None) -> dict[str, Path]:
    """Files of a folder by their hash; none where no folder is named.

    Raises:
        SubmissionError: The folder or a file in it cannot be read.
    """
    if folder is None:
        return {}
    try:
        return {sha256_of(path): path for path in sorted(folder.iterdir()) if path.is_file()}
    except OSError as error:
        place = error.filename or folder
        raise SubmissionError(f"{place}: {error.strerror}", remedy="name a folder that can be read") from None


def note_unmeasured(folder: Path, files: Mapping[str, Path], wanted: Iterable[str]) -> None:
    """Warn where no file of a folder has one of these hashes: whoever names a folder takes sizes for measured."""
    if not any(sha256 in files for sha256 in wanted):
        told = "no file in it has the hash of a submission that is looked at: no size was measured again"
        logging.getLogger("wildbench").warning(printable(f"wildbench: {folder}: {told}"))


def _differences(place: str, claimed: Record | None, found: Record | None) -> Iterator[tuple[str, object, object]]:
    """Where two records differ: the place, what is claimed and what was found."""
    dumped = (None if one is None else one.model_dump(mode="json") for one in (claimed, found))
    return _walk(place, *dumped)


def _walk(place: str, claimed: object, found: object) -> Iterator[tuple[str, object, object]]:
    if place in _NOT_KEPT:
        return
    if isinstance(claimed, dict) and isinstance(found, dict):
        for key in sorted(claimed.keys() | found.keys()):
            mine, theirs = claimed.get(key), found.get(key)
            unclaimed = key in claimed and mine is None and isinstance(theirs, dict | list) and key != "interval"
            if not unclaimed:  # a figure that the wildbench of the card did not know
                yield from _walk(f"{place}.{key}", mine, theirs)
    elif isinstance(claimed, list) and isinstance(found, list) and len(claimed) == len(found):
        for index, pair in enumerate(zip(claimed, found, strict=True)):
            yield from _walk(f"{place}.{index}", *pair)
    elif not _same(claimed, found):
        yield place, claimed, found


def _same(claimed: object, found: object) -> bool:
    if isinstance(claimed, float) and isinstance(found, float):
        return abs(claimed - found) <= TOLERANCE * max(1.0, abs(found))
    return claimed == found


def _counted(found: Sequence[tuple[str, object, object]], says: str) -> list[str]:
    lines = [
        f"{place} is {shortened(claimed)}, {says} {shortened(value)}" for place, claimed, value in found[:MOST_NAMED]
    ]
    more = len(found) - len(lines)
    return [*lines, f"and {more} more figures are not what {says}"] if more else lines
