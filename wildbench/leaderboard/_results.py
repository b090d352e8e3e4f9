"""The results of a leaderboard: a folder each, which holds what was scored and the hashes of its files.

results/ID/card.json            as it was added, byte for byte
results/ID/predictions.json.xz  the detections it was scored from
results/ID/samples.npy          AP on resampled images, which ranking needs
results/ID/curves.json          precision against recall, for the page
results/ID/reproduced.json      of a row that the board's own machine measured again: what had been claimed
results/ID/SHA256SUMS           of all these, so that `sha256sum -c SHA256SUMS` names every edit
"""

from __future__ import annotations

import hashlib
import io
import json
import lzma
import re
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic import Field, ValidationError

from wildbench.datasets.coco import Dataset
from wildbench.datasets.predictions import Detections, read_predictions
from wildbench.errors import OutputError, PredictionsError, ScorecardError, WildbenchError
from wildbench.files import read_bounded
from wildbench.measures.uncertainty import REPLICATES, Floats
from wildbench.records import read_json, read_version
from wildbench.scorecard import Keyed, Label, Number, Record, Scorecard, read_scorecard

CARD, CURVES, PREDICTIONS, SAMPLES = KEPT = "card.json", "curves.json", "predictions.json.xz", "samples.npy"
REPRODUCED, SUMS = "reproduced.json", "SHA256SUMS"

FORMAT_VERSION = 1
"""Of reproduced.json."""

MOST_BYTES = 64 << 20
"""Of any file of a result, and of its detections when unpacked: a larger one is refused."""

_RESTORE = "restore it from version control"


@dataclass(frozen=True, eq=False)
class Samples:
    """AP of one detector; NaN where no box was drawn. Draw `k` is of the same images for every detector.

    Attributes:
        whole: float64 [1]: on the data set.
        drawn: float64 [replicate]: on resampled sets.
        without: float64 [group]: without each group of images in turn.

    Example:
        >>> samples = Samples(np.array([0.5]), np.array([0.4, 0.6]), np.array([0.5, 0.5, 0.4]))
        >>> Samples.from_bytes(samples.to_bytes(), "a.npy", replicates=2).without.tolist()
        [0.5, 0.5, 0.4]
    """

    whole: Floats
    drawn: Floats
    without: Floats

    def to_bytes(self) -> bytes:
        """Write a .npy file: the figure, the replicates, then the rest in one row."""
        file = io.BytesIO()
        np.save(file, np.concatenate([self.whole, self.drawn, self.without]).astype("<f8"), allow_pickle=False)
        return file.getvalue()

    @classmethod
    def from_bytes(cls, stored: bytes, where: str, replicates: int = REPLICATES) -> Samples:
        """Read what `to_bytes` wrote to the file `where`."""
        try:
            values = np.load(io.BytesIO(stored), allow_pickle=False)
        except (ValueError, EOFError, OSError, MemoryError):
            values = np.zeros(0)
        if values.ndim != 1 or values.dtype != np.dtype("<f8") or len(values) < 1 + replicates:
            raise ScorecardError(f"{where}: damaged, or of another version", code="damaged", remedy=_RESTORE)
        return cls(values[:1], values[1 : 1 + replicates], values[1 + replicates :])


class Curves(Record):
    """Interpolated precision in thousandths at recalls of 0, 0.01, ..., 1; zeros at the end are left out."""

    by_iou: dict[str, list[int]] = Field(description='Mean over categories at one IoU: "0.50", "0.75", "0.90".')
    per_category: dict[str, list[int]] = Field(description="At IoU 0.50; only categories with a box.")

    def to_bytes(self) -> bytes:
        """Write sorted JSON on one line: same detections, same bytes."""
        return (json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":")) + "\n").encode()

    @classmethod
    def from_bytes(cls, stored: bytes, where: str) -> Curves:
        """Read what `to_bytes` wrote to the file `where`."""
        try:
            return cls.model_validate_json(stored)
        except ValidationError:
            raise ScorecardError(f"{where}: damaged, or of another version", code="damaged", remedy=_RESTORE) from None


class Claim(Record):
    """A figure as a card claimed it, and as the board's own machine measured it."""

    claimed: Number | None
    measured: Number | None
    tolerance: Label = Field(description="By how much they may differ.")
    holds: bool | None = Field(description="null where they do not compare.")


class Reproduction(Record):
    """That the board's own machine measured a row: the card beside it is that machine's, not the submitter's."""

    format_version: int = FORMAT_VERSION
    card_sha256: Label = Field(description="Of the card beside this file.")
    claimed_sha256: Label = Field(description="Of the card that was added.")
    machine: Label = Field(description="Its class: the processor with its usable CPUs, or the GPU.")
    wildbench: Label
    figures: Keyed[Claim] = Field(description="By their path in a scorecard.")

    def to_bytes(self) -> bytes:
        """Indented JSON that ends in a newline."""
        return (json.dumps(self.model_dump(mode="json"), indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode()


@dataclass(frozen=True, eq=False)
class Result:
    """One card, the hash of its file, and what it was scored from: JSON, or xz of it. The id is the folder's name."""

    id: str
    card: Scorecard
    card_sha256: str
    predictions: Path
    samples: Samples
    reproduction: Reproduction | None = None

    def detections(self, data: Dataset) -> Detections:
        """The detections it was scored from."""
        return read_detections(self.predictions, self.card, data)


def result_id(card: Scorecard) -> str:
    """Name of a result's folder: the same for two cards of one name, data set and protocol, whatever the case.

    Example:
        >>> from wildbench.resources import bundled
        >>> result_id(read_scorecard(bundled("baselines/scorecards/reference.json")))[:-8]
        'reference-'
    """
    name = " ".join(card.submission.name.casefold().split())
    key = json.dumps([name, card.dataset.sha256, card.protocol.version])
    slug = re.sub(r"[^a-z0-9]+", "-", name).strip("-")[:40].rstrip("-")
    return f"{slug or 'row'}-{hashlib.sha256(key.encode()).hexdigest()[:8]}"


def compared(card: Scorecard) -> tuple[str, int]:
    """What two cards share that stand beside each other."""
    return card.dataset.sha256, card.protocol.version


def hashes(results: Iterable[Result]) -> set[str]:
    """Of the submissions of some results."""
    return {result.card.submission.sha256 for result in results}


def machine_of(card: Scorecard) -> str:
    """The class of the machine that a card was measured on: its GPU, or its processor with the CPUs it may use."""
    where, latency = card.environment, card.latency
    if latency is not None and latency.device != "cpu":
        return latency.device
    return f"{where.cpu}, {where.cpu_count} CPU{'' if where.cpu_count == 1 else 's'}"


def own(card: Scorecard, card_sha256: str) -> Reproduction:
    """That a card is of a measurement of one's own, which nobody claimed before."""
    machine, version = machine_of(card), card.environment.wildbench
    return Reproduction(
        card_sha256=card_sha256, claimed_sha256=card_sha256, machine=machine, wildbench=version, figures={}
    )


def listed(folder: Path) -> list[Path]:
    """What a folder holds, by name; nothing where it does not exist."""
    try:
        return sorted(folder.iterdir()) if folder.is_dir() else []
    except OSError as error:
        raise _unreadable(folder, error) from None


def _unreadable(path: Path, error: OSError) -> ScorecardError:
    what = f"{path}: cannot be read ({error.strerror})"
    return ScorecardError(what, code="unreadable", remedy="allow reading it")


def result_folders(board: Path) -> list[Path]:
    """The folders of a leaderboard's results, by name. Hidden ones are results that are being added."""
    return [path for path in listed(board / "results") if path.is_dir() and not path.name.startswith(".")]


def read_results(board: Path) -> list[Result]:
    """Read every result of a leaderboard's folder, by id.

    Raises:
        ScorecardError: A file is missing, damaged or not the one that was added.
    """
    return [read_result(folder) for folder in result_folders(board)]


def read_result(folder: Path) -> Result:
    """Read one result, whose files have to be those that were added."""
    stored = _stored(folder / SUMS)
    lines = stored.decode("utf-8", "replace").splitlines()
    files = {name: _stored(folder / name) for name in files_of(folder)}
    for name, data in files.items():
        if sums_of({name: data}).decode().rstrip() not in lines:
            what = f"{folder.name}: {name} is not the file that was added"
            raise ScorecardError(what, code="file-edited", remedy=_RESTORE)
    if stored != sums_of(files):
        raise ScorecardError(f"{folder.name}: {SUMS} was edited", code="file-edited", remedy=_RESTORE)
    card, samples = read_scorecard(folder / CARD), Samples.from_bytes(files[SAMPLES], f"{folder.name}/{SAMPLES}")
    card_sha256 = hashlib.sha256(files[CARD]).hexdigest()
    reproduction = _reproduction(folder / REPRODUCED, card_sha256) if REPRODUCED in files else None
    return Result(folder.name, card, card_sha256, folder / PREDICTIONS, samples, reproduction)


def files_of(folder: Path) -> tuple[str, ...]:
    """What a result's folder has to hold, the file of hashes aside."""
    return (*KEPT, REPRODUCED) if (folder / REPRODUCED).exists() else KEPT


def _reproduction(path: Path, card_sha256: str) -> Reproduction:
    document = read_json(path, error=ScorecardError, again=_RESTORE, most=MOST_BYTES)
    no_record = (f"not a {REPRODUCED}", _RESTORE)
    read = read_version(
        document, Reproduction, FORMAT_VERSION, path=path, error=ScorecardError, no_record=no_record, again=_RESTORE
    )
    if read.card_sha256 != card_sha256:
        what = f"{path.parent.name}: {REPRODUCED} is about another card than the one beside it"
        raise ScorecardError(what, code="other-card", remedy="reproduce the row again")
    return read


def keep(folder: Path, files: Mapping[str, bytes], *, replace: bool = False) -> None:
    """Write the folder of a result with the hashes of its files, whole or not at all; perhaps in place of another."""
    try:
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".adding-", ignore_cleanup_errors=True) as temporary:
            made, old = Path(temporary) / "made", Path(temporary) / "old"
            made.mkdir()
            for name, stored in {**files, SUMS: sums_of(files)}.items():
                (made / name).write_bytes(stored)
            if replace:
                folder.rename(old)
            try:
                made.rename(folder)  # fails where there is one: it was added at the same time
            except OSError:
                if replace:
                    old.rename(folder)
                raise
    except OSError as error:
        what = f"{folder}: cannot be written ({error.strerror})"
        raise OutputError(what, code="not-writable", remedy="make room, or allow writing there") from None


def sums_of(files: Mapping[str, bytes]) -> bytes:
    """The hashes of files, in the format of sha256sum."""
    return "".join(f"{hashlib.sha256(files[name]).hexdigest()}  {name}\n" for name in sorted(files)).encode()


def _stored(path: Path) -> bytes:
    if not path.is_file() or path.is_symlink():  # what a link leads to is not the board's
        raise ScorecardError(f"{path.parent.name}: {path.name} is missing", code="file-missing", remedy=_RESTORE)
    try:
        return read_bounded(path, MOST_BYTES)
    except OSError as error:
        raise _unreadable(path, error) from None


def read_detections(path: Path, card: Scorecard, data: Dataset) -> Detections:
    """Read the detections that a card was scored from, after checking their hash."""
    stored = unpacked(path)
    if hashlib.sha256(stored).hexdigest() != card.accuracy.predictions_sha256:
        what = f"{path}: not the detections that were scored"
        raise PredictionsError(what, code="not-as-scored", remedy="keep those beside the card")
    with tempfile.TemporaryDirectory() as folder:
        plain = Path(folder) / path.name.removesuffix(".xz")
        plain.write_bytes(stored)
        return read_predictions(plain, data)


def unpacked(path: Path) -> bytes:
    """The bytes of a results file, which may be xz."""
    try:
        stored = read_bounded(path, MOST_BYTES)
        if path.suffix != ".xz":
            return stored
        reader = lzma.LZMADecompressor(lzma.FORMAT_XZ)
        plain = reader.decompress(stored, MOST_BYTES)
    except OSError as error:
        remedy = "keep the detections beside the card"
        raise PredictionsError(f"{path}: {error.strerror}", code="unreadable", remedy=remedy) from None
    except lzma.LZMAError as error:
        raise PredictionsError(f"{path}: damaged ({error})", code="damaged", remedy=_RESTORE) from None
    if not reader.eof or reader.unused_data:
        what = f"{path}: cut short, too large, or followed by other data"
        raise PredictionsError(what, code="damaged", remedy=_RESTORE)
    return plain


def placed(error: WildbenchError, where: object) -> WildbenchError:
    """Put the place it is about in front of an error."""
    if error.what.startswith(f"{where}: "):
        return error
    return type(error)(f"{where}: {error.what}", code=error.code.partition("/")[2], remedy=error.remedy)
