"""The figures of a scorecard, computed again from its detections and its submission."""

from __future__ import annotations

import contextlib
import logging
import lzma
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from wildbench.datasets.category_merging import regrouped
from wildbench.datasets.coco import Dataset
from wildbench.datasets.image_groups import field_of
from wildbench.datasets.predictions import Detections
from wildbench.datasets.registry import load_dataset, names
from wildbench.errors import DatasetError, ScorecardError, SubmissionError, WildbenchError
from wildbench.evaluation import describe
from wildbench.files import sha256_of
from wildbench.leaderboard._results import (
    CARD,
    CURVES,
    PREDICTIONS,
    SAMPLES,
    Curves,
    Result,
    Samples,
    own,
    read_detections,
    result_id,
    unpacked,
)
from wildbench.measures.accuracy import measure_accuracy
from wildbench.measures.audits import audit_exact, scored_evidence, stated_bound
from wildbench.measures.compute import operands_of
from wildbench.measures.diagnosis import measure_errors
from wildbench.measures.field import OperatingPoint, measure_field, operating_point, slice_values
from wildbench.measures.matching import Scored
from wildbench.measures.size import size_of
from wildbench.records import parsed
from wildbench.scorecard import Audit, Protocol, Record, Scorecard, contradictions, read_scorecard
from wildbench.submissions.inspection import inspect_submission
from wildbench.submissions.process import Sandbox
from wildbench.text import printable

TOLERANCE = 1e-9
"""Between two machines, whose sums may differ in the last bits."""

MOST_NAMED = 8
"""Figures of one card that are named one by one; the rest are counted."""

_HASH = re.compile(r"[0-9a-f]{64}")
_AGAIN = "score the detections again with this wildbench"
_PLAIN = "use plain characters"

_NOT_KEPT = {"accuracy.predictions_file", "accuracy.uncertainty.engine", "errors.images.file", "errors.images.sha256"}
"""Names of files beside the original card, and the version of a library."""

_ALL, _MOST = 0, -1
"""Index of all areas, and of 100 detections per image and category, in the engine's arrays."""


def results_of(cards: Sequence[Path], data: Dataset) -> list[Result]:
    """Make results of cards of one's own, on one data set, beside their detections, without adding them anywhere."""
    results = []
    for path in cards:
        card = read_scorecard(path)
        predictions = path.with_name(card.accuracy.predictions_file)
        samples = measure_samples(scored_as(card, data, read_detections(predictions, card, data)))
        sha256 = sha256_of(path)
        results.append(Result(result_id(card), card, sha256, predictions, samples, own(card, sha256)))
    return results


def kept_files(path: Path, card: Scorecard, scored: Scored) -> dict[str, bytes]:
    """What a result keeps of a card, by the names of its files; its detections lie beside the card."""
    return {
        CARD: path.read_bytes(),
        PREDICTIONS: lzma.compress(unpacked(path.with_name(card.accuracy.predictions_file))),
        SAMPLES: measure_samples(scored).to_bytes(),
        CURVES: measure_curves(scored).to_bytes(),
    }


def scored_as(card: Scorecard, data: Dataset, detections: Detections) -> Scored:
    """Match detections with a data set, in the categories that the card's detector knows."""
    unknown = card.accuracy.unknown_categories
    return Scored(data, detections, frozenset(one["id"] for one in data.categories if one["name"] not in unknown))


def measure_samples(scored: Scored) -> Samples:
    """Resample the data set."""
    from wildbench.measures.uncertainty import estimate, measure_uncertainty  # loads a compiler

    uncertainty = measure_uncertainty(scored)
    whole = estimate([uncertainty.matches]).ap()[0]
    return Samples(whole, uncertainty.drawn.ap()[:, 0], uncertainty.without.ap()[:, 0])


def measure_curves(scored: Scored) -> Curves:
    """Trace what AP is the mean of.

    Example:
        >>> coco = {"images": [{"id": 1, "width": 90, "height": 90}], "categories": [{"id": 1, "name": "lion"}],
        ...     "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [9, 9, 40, 40], "area": 1600,
        ...                      "iscrowd": 0}]}
        >>> detections = Detections([1], [1], [[9, 9, 40, 30]], scores=[0.9])
        >>> curves = measure_curves(Scored(Dataset("tiny", None, coco, Path()), detections))
        >>> set(curves.per_category["lion"]), len(curves.by_iou["0.75"]), curves.by_iou["0.90"]
        ({1000}, 101, [])
    """
    precision = np.asarray(scored.arrays["precision"])[:, :, :, _ALL, _MOST]
    with_boxes = [place for place in range(len(scored.categories)) if precision[0, 0, place] > -1]
    return Curves(
        by_iou={
            f"{0.5 + 0.05 * step:.2f}": _thousandths(precision[step][:, with_boxes].mean(axis=1)) if with_boxes else []
            for step in (0, 5, 8)
        },
        per_category={scored.categories[place]["name"]: _thousandths(precision[0, :, place]) for place in with_boxes},
    )


def _thousandths(precision: npt.NDArray[np.float64]) -> list[int]:
    values = np.rint(1000 * precision).astype(int)
    return [int(value) for value in np.trim_zeros(values, "b")]


_UNAUDITED = "a board takes detectors that look at the pictures alone"


def wrong_claims(card: Scorecard, path: Path) -> list[WildbenchError]:
    """List where a card is not as wildbench writes one: its texts, its hashes, its protocol, and its figures together.

    Characters that nobody sees, that steer a terminal or turn the direction of a text are refused everywhere in the
    file: names of categories, of processors and of files end up in the same tables.

    Args:
        card: What was read.
        path: Its file.
    """
    problems: list[WildbenchError] = list(_wrong_texts("", parsed(path.read_bytes()), card.model_dump(mode="json")))
    for name, explanation in card.failed_audits().items():
        problems.append(ScorecardError(f"audit {name}: {explanation}", code="audit-failed", remedy=_UNAUDITED))
    for place, what in contradictions(card):
        problems.append(ScorecardError(f"{place}: {what}", code="contradiction", remedy=_AGAIN))
    for name, here in Protocol(engine=card.protocol.engine, trusted=card.protocol.trusted):
        claimed = getattr(card.protocol, name)
        if claimed != here:
            what = f"protocol.{name} is {shortened(claimed)}, this wildbench uses {here}"
            problems.append(ScorecardError(what, code="other-protocol", remedy=_AGAIN))
    return problems


def _wrong_texts(place: str, value: Any, kept: Any) -> Iterator[ScorecardError]:  # noqa: ANN401 - JSON
    """Where what a file holds is not what was read of it: a reader leaves out what cannot be seen, and cuts."""
    if isinstance(value, dict):
        for key, one in value.items():
            if key not in kept:
                what = f"{place}: the key {shortened(key)} has characters that cannot be seen, or is too long"
                yield ScorecardError(what, code="unprintable", remedy=_PLAIN)
            else:
                yield from _wrong_texts(f"{place}.{key}".lstrip("."), one, kept[key])
    elif isinstance(value, list):
        for number, one in enumerate(value):
            yield from _wrong_texts(f"{place}.{number}", one, kept[number])
    elif isinstance(value, str):
        key = place.rpartition(".")[2]
        if value != kept:
            what = f"{place}: {shortened(value)} has characters that cannot be seen or compared, or is too long"
            yield ScorecardError(what, code="unprintable", remedy=_PLAIN)
        elif (key == "parent" or key.endswith("sha256")) and not _HASH.fullmatch(value):
            what = f"{place}: {shortened(value)} is not a SHA-256 of 64 digits 0-9 and a-f"
            yield ScorecardError(what, code="not-a-hash", remedy="score the submission again")


def shortened(value: object) -> str:
    """Cut a value down to 60 characters, all printable."""
    text = repr(value) if isinstance(value, (float, str)) else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


class DataSets:
    """The data sets at hand: the COCO files or registered names given, and the name in a card; each is read once."""

    def __init__(self, named: Sequence[Path | str] = ()) -> None:
        self._named = [str(one) for one in named]
        self._read: dict[tuple[str, str, int | None], Dataset] = {}

    def of(self, card: Scorecard) -> Dataset:
        """The data set a card was scored on."""
        wanted = card.dataset
        place = f"{wanted.name} {wanted.split or ''}".strip()
        others = []
        for name in [*self._named, *(name for name in names() if name == wanted.name)]:
            key = (name, wanted.split or "test", wanted.limit)
            if key not in self._read:
                self._read[key] = load_dataset(name, split=key[1], limit=key[2], with_images=False)
            data = regrouped(self._read[key], wanted.grouping)[0]
            if data.sha256 == wanted.sha256:
                return data
            others.append(data.sha256)
        if others:
            here = " or ".join(other[:12] for other in others)
            what = f"scored on another version of {place}: its hash is {wanted.sha256[:12]}, here it is {here}"
            remedy = "score the detections again, or name that version with --dataset"
            raise DatasetError(what, code="other-version", remedy=remedy)
        what = f"scored on {place}, which is not available here"
        raise DatasetError(what, code="not-here", remedy="name its COCO JSON with --dataset")


def wrong_accuracy(card: Scorecard, scored: Scored) -> list[WildbenchError]:
    """List figures of accuracy and errors, intervals included, that a card's detections do not give.

    A category that the card leaves out of its means must not be among the detections either: a detector that leaves
    out what it is bad at looks better.
    """
    data = scored.dataset
    if card.dataset.model_copy(update={"name": data.name, "split": data.split}) != data.record(card.dataset.limit):
        what = "dataset: its images, boxes or categories are not those of the data set with its hash"
        return [ScorecardError(what, code="other-facts", remedy=_AGAIN)]
    file, sha256 = card.accuracy.predictions_file, card.accuracy.predictions_sha256
    accuracy = measure_accuracy(scored, predictions_file=file, predictions_sha256=sha256)
    differences = list(_differences("accuracy", card.accuracy, accuracy))
    errors, _ = measure_errors(scored, card.errors.images.file)
    differences += _differences("errors", card.errors, errors)
    differences += _field_differences(card, scored)
    detected = set(scored.detections.category_ids.tolist())
    names_detected = {entry["name"] for entry in data.categories if entry["id"] in detected}
    exact = audit_exact(scored)
    differences += wrong_audits(card, scored, exact)
    problems = _counted(differences, "its detections give")
    for name in sorted(names_detected.intersection(card.accuracy.unknown_categories), reverse=True):
        what = f"accuracy.unknown_categories holds {name}, which is among its detections"
        problems.insert(0, ScorecardError(what, code="unknown-but-detected", remedy=_AGAIN))
    if exact.failed:
        what = f"audit {exact.name}: {exact.explanation}"
        problems.insert(0, ScorecardError(what, code="audit-failed", remedy=_UNAUDITED))
    return problems


def wrong_audits(card: Scorecard, scored: Scored, exact: Audit) -> Iterator[tuple[str, object, object]]:
    """Where the audits of a card are not what its detections and the rules of this wildbench make them."""
    threads = card.latency.threads if card.latency else None
    for audit in card.audits:
        place, bound = f"audits.{audit.name}", stated_bound(audit, threads)
        if audit.name == exact.name:
            yield from _differences(place, audit, exact)
        if bound is not None and audit.bound is not None and not _same(audit.bound, bound):
            yield f"{place}.bound", audit.bound, bound
        if audit.name == "fresh-scenes" and audit.evidence:
            for name, figure in scored_evidence(scored).items():
                yield from _differences(f"{place}.evidence.{name}", audit.evidence.get(name), figure)


def _field_differences(card: Scorecard, scored: Scored) -> Iterator[tuple[str, object, object]]:
    """What a ranger sees, measured again; slices by a table that is not here are left as they are claimed."""
    claimed = card.field
    if claimed is None:
        return
    point = OperatingPoint(claimed.operating_point.threshold.value, claimed.operating_point.source)
    if point.source == "val":
        point = operating_point(scored)
    fields = [name for name in claimed.slices if any(field_of(image, name) for image in scored.dataset.images)]
    measured = measure_field(scored, point, slices=slice_values(scored.dataset, fields))
    here = {name: claimed.slices[name] for name in fields}
    yield from _differences("field", claimed.model_copy(update={"slices": here}), measured)


def wrong_submission(card: Scorecard, submission: Path | None) -> list[WildbenchError]:
    """List what a submission itself does not give of its card: figures of size, what its manifest says, some bits.

    Nothing of it runs; there are none where its file is not at hand.
    """
    if submission is None:
        return []
    try:
        with Sandbox(submission, opens=False) as box:
            admitted = box.admitted
        inspection = inspect_submission(admitted)
        differences = [*_differences("size", card.size, size_of(inspection))]
    except WildbenchError as error:
        return [error]
    operands, compute, stated, own = operands_of(inspection), card.compute, card.submission, describe(admitted)
    if compute and operands.unknown and compute.operand_bits is not None:
        differences.append(("compute.operand_bits", compute.operand_bits, None))
    if compute and compute.bops.value is not None and compute.bops.caution != operands.caution:
        differences.append(("compute.bops.caution", compute.bops.caution, operands.caution))
    if not {"compute"} <= set(card.told) and admitted.format.runs_code:
        differences.append(("told", card.told, [*card.told, "compute"]))
    given = (stated.manifest or "").startswith("manifest: ") and "inside it" not in (stated.manifest or "")
    if stated.manifest == own.manifest or not given:  # one that a person gave is not here
        left = {"file": stated.file, **({} if stated.manifest else {"manifest": None})}
        differences += _differences("submission", stated, own.model_copy(update=left))
    return _counted(differences, "its submission gives")


def submissions_in(folder: Path | None, wanted: Iterable[Scorecard]) -> dict[str, Path]:
    """Submissions in a folder by their hash, with a warning where none is a wanted card's; none where none is named.

    What is more than one file, such as a graph with its manifest beside it, is found by the name of the file.
    """
    if folder is None:
        return {}
    wanted = list(wanted)
    try:
        named = {path.name: path for path in sorted(folder.iterdir())}
        files = {sha256_of(path): path for path in named.values() if path.is_file()}
    except OSError as error:
        what = f"{error.filename or folder}: {error.strerror}"
        raise SubmissionError(what, code="unreadable", remedy="name a folder that can be read") from None
    for one in (card.submission for card in wanted):
        if one.sha256 not in files and one.file in named:
            with contextlib.suppress(WildbenchError), Sandbox(named[one.file], opens=False) as box:
                files[box.admitted.sha256] = box.path
    if not any(card.submission.sha256 in files for card in wanted):
        warning = f"wildbench: {folder}: no file in it is one of the submissions: no size was measured again"
        logging.getLogger("wildbench").warning(printable(warning))
    return files


def _differences(place: str, claimed: Record | None, measured: Record | None) -> Iterator[tuple[str, object, object]]:
    """Where two records differ, what is claimed there, and what was measured."""
    yield from _walk(place, *(None if one is None else one.model_dump(mode="json") for one in (claimed, measured)))


def _walk(place: str, claimed: object, measured: object) -> Iterator[tuple[str, object, object]]:
    if place in _NOT_KEPT:
        return
    if isinstance(claimed, dict) and isinstance(measured, dict):
        for key in sorted(claimed.keys() | measured.keys()):
            yield from _walk(f"{place}.{key}", claimed.get(key), measured.get(key))
    elif isinstance(claimed, list) and isinstance(measured, list) and len(claimed) == len(measured):
        for index, pair in enumerate(zip(claimed, measured, strict=True)):
            yield from _walk(f"{place}.{index}", *pair)
    elif not _same(claimed, measured):
        yield place, claimed, measured


def _same(claimed: object, measured: object) -> bool:
    if isinstance(claimed, float) and isinstance(measured, float):
        return abs(claimed - measured) <= TOLERANCE * max(1.0, abs(measured))
    return claimed == measured


def _counted(differences: Sequence[tuple[str, object, object]], source: str) -> list[WildbenchError]:
    named = differences[:MOST_NAMED]
    lines = [f"{place} is {shortened(claimed)}, {source} {shortened(value)}" for place, claimed, value in named]
    if more := len(differences) - len(lines):
        lines.append(f"{more} more figures are not what {source}")
    return [ScorecardError(line, code="figure-differs") for line in lines]
