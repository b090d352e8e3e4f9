"""The results of a leaderboard: a folder each, with the card, its detections and its resampled AP.

leaderboard/results/chain.jsonl                         # the order they were added in
leaderboard/results/ID/card.json                        # as it was added, byte for byte
leaderboard/results/ID/predictions.json.xz
leaderboard/results/ID/samples.npy
leaderboard/results/ID/curves.json                     # for the page; its detections give it again
"""

from __future__ import annotations

import hashlib
import json
import lzma
import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic_core import from_json

from wildbench.datasets.coco import Dataset
from wildbench.datasets.predictions import read_predictions
from wildbench.errors import PredictionsError, ScorecardError
from wildbench.files import sha256_of
from wildbench.leaderboard.results._history import Entry, read_chain
from wildbench.leaderboard.results._kept import Samples, measure_samples, samples_from
from wildbench.scorecard import Scorecard, read_scorecard

CARD, PREDICTIONS, SAMPLES, CURVES = KEPT = "card.json", "predictions.json.xz", "samples.npy", "curves.json"
CHAIN = "chain.jsonl"

MOST_BYTES = 1 << 30
"""Of unpacked detections: a file that claims more is no result."""


@dataclass(frozen=True, eq=False)
class Result:
    """One card with what it was scored from.

    Attributes:
        id: Name of its folder.
        entry: Its place in the chain, from 1; None for a card that was not added.
        card: The scorecard.
        card_sha256: Hash of its file.
        predictions: The detections: JSON, or xz of it.
        samples: AP on resampled images.
    """

    id: str
    entry: int | None
    card: Scorecard
    card_sha256: str
    predictions: Path
    samples: Samples

    def detections(self, data: Dataset, least: float = 0.0) -> list[dict[str, Any]]:
        """The COCO results it was scored from.

        Args:
            data: What was detected in.
            least: Score of those that are wanted; the others are not even checked, which takes a while.

        Raises:
            PredictionsError: They are missing, damaged, or others than were scored.
        """
        return read_detections(self.predictions, self.card, data, least)


def result_id(card: Scorecard) -> str:
    """Name of a result's folder: the same for two cards of one name, data set and protocol, whatever the case.

    Example:
        >>> from wildbench.datasets.registry import bundled
        >>> result_id(read_scorecard(bundled("baselines/scorecards/reference.json")))[:-8]
        'reference-'
    """
    name = " ".join(card.submission.name.casefold().split())
    key = json.dumps([name, card.dataset.sha256, card.protocol.version])
    slug = re.sub(r"[^a-z0-9]+", "-", name).strip("-")[:40].rstrip("-")
    return f"{slug or 'row'}-{hashlib.sha256(key.encode()).hexdigest()[:8]}"


def chain_file(board: Path) -> Path:
    """Where the chain of a leaderboard's folder is."""
    return board / "results" / CHAIN


def read_results(board: Path) -> tuple[list[Result], list[Entry]]:
    """Read every result of a leaderboard's folder, in the order they were added, and the chain.

    Raises:
        ScorecardError: A file is missing, damaged or not the one that was added.
    """
    entries = read_chain(chain_file(board))
    return [read_result(board, entry, number) for number, entry in enumerate(entries, start=1)], entries


def read_result(board: Path, entry: Entry, number: int) -> Result:
    """Read the result of one entry.

    Raises:
        ScorecardError: A file is missing, damaged or not the one that was added.
    """
    folder = board / "results" / entry.id
    for name in KEPT:
        if not (folder / name).is_file():
            raise ScorecardError(f"{entry.id}: its {name} is missing", remedy="restore it from version control")
    stored = _as_added(folder / SAMPLES, entry.samples_sha256)
    _as_added(folder / CARD, entry.card_sha256)
    card, samples = read_scorecard(folder / CARD), samples_from(stored, f"{entry.id}/{SAMPLES}")
    return Result(entry.id, number, card, entry.card_sha256, folder / PREDICTIONS, samples)


def _as_added(path: Path, sha256: str) -> bytes:
    stored = read_kept(path)
    if hashlib.sha256(stored).hexdigest() != sha256:
        raise ScorecardError(f"{path.parent.name}: {path.name} is not the one that was added", remedy="restore it")
    return stored


def read_kept(path: Path) -> bytes:
    """The bytes of a file of a result.

    Raises:
        ScorecardError: It cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise ScorecardError(f"{path}: cannot be read ({error.strerror})", remedy="restore it") from None


def results_of(cards: Sequence[Path], data: Dataset) -> list[Result]:
    """Make results of cards that lie beside their detections, without adding them anywhere.

    Args:
        cards: Scorecards.
        data: What they were all scored on.
    """
    results = []
    for path in cards:
        card = read_scorecard(path)
        predictions = path.with_name(card.accuracy.predictions_file)
        samples = measure_samples(data, read_detections(predictions, card, data), scored_categories(card, data))
        results.append(Result(result_id(card), None, card, sha256_of(path), predictions, samples))
    return results


def scored_categories(card: Scorecard, data: Dataset) -> set[int]:
    """Ids of the categories that a card's detector knows."""
    return {entry["id"] for entry in data.categories if entry["name"] not in card.accuracy.unknown_categories}


def read_detections(path: Path, card: Scorecard, data: Dataset, least: float = 0.0) -> list[dict[str, Any]]:
    """Read the detections that a card was scored from, after a look at their hash, and leave out those below a score.

    Raises:
        PredictionsError: They are missing, damaged, or others than were scored.
    """
    stored = unpacked(path)
    if hashlib.sha256(stored).hexdigest() != card.accuracy.predictions_sha256:
        raise PredictionsError(f"{path}: not the detections that were scored", remedy="keep those beside the card")
    with tempfile.TemporaryDirectory() as folder:
        plain = Path(folder) / path.name.removesuffix(".xz")
        plain.write_bytes(_from_score(stored, least) if least else stored)
        return read_predictions(plain, data)


def _from_score(stored: bytes, least: float) -> bytes:
    """Results without those that have a lower score; what is no result stays, to be refused."""
    try:
        found = from_json(stored, cache_strings="keys")  # twice as fast as json
        return json.dumps([one for one in found if not one["score"] < least]).encode()
    except (ValueError, TypeError, LookupError, RecursionError):
        return stored


def unpacked(path: Path) -> bytes:
    """The bytes of a results file, which may be xz.

    Raises:
        PredictionsError: It is missing, or damaged.
    """
    try:
        stored = path.read_bytes()
        if path.suffix != ".xz":
            return stored
        reader = lzma.LZMADecompressor(lzma.FORMAT_XZ)
        plain = reader.decompress(stored, MOST_BYTES)
    except OSError as error:
        raise PredictionsError(f"{path}: {error.strerror}", remedy="keep the detections beside the card") from None
    except lzma.LZMAError as error:
        raise PredictionsError(f"{path}: damaged ({error})", remedy="restore it from version control") from None
    if not reader.eof:
        raise PredictionsError(f"{path}: cut short, or too large", remedy="restore it from version control")
    if reader.unused_data:
        raise PredictionsError(f"{path}: something follows the detections", remedy="restore it from version control")
    return plain
