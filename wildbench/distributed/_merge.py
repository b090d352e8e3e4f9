"""Parts to one file of predictions, image by image: the same bytes however the work was divided and repeated."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from wildbench.datasets.coco import Ints, objects
from wildbench.datasets.predictions import Detections, write_predictions
from wildbench.distributed._job import Images, Job, check_same, read_job
from wildbench.distributed._parts import part_files, read_part
from wildbench.errors import JobError
from wildbench.files import pyarrow, write_atomically
from wildbench.progress import Progress, silent

NAMED = 5
"""Images that a message names."""


@dataclass(frozen=True, eq=False)
class Merged:
    """What the parts of a job came to.

    Attributes:
        job: Theirs.
        images: The job's.
        detections: By image in the job's order, those of each in the detector's.
        failed: Why the image at a place has no answer, by place.
        missing: Places that no part has.
        parts: How many were read.
        repeated: Answers that were there more than once.
    """

    job: Job
    images: Images
    detections: Detections
    failed: dict[int, str]
    missing: list[int]
    parts: int
    repeated: int

    def __repr__(self) -> str:
        return f"Merged({self.line()})"

    def line(self) -> str:
        """The counts in one line."""
        answered = self.job.images - len(self.failed) - len(self.missing)
        return (
            f"{answered:,} of {self.job.images:,} images answered, {len(self.failed):,} failed, "
            f"{len(self.missing):,} missing; {len(self.detections):,} detections from {self.parts:,} parts"
        )


def merge(folders: Sequence[Path | str], *, partial: bool = False, progress: Progress = silent) -> Merged:
    """Merge the parts of one job.

    An answer beats a failure, equal answers count once, and unequal ones are an error.

    Args:
        folders: Where `detect` has written; all of one job.
        partial: Whether images may be missing.
        progress: Called as `progress(task, done, total)`.

    Raises:
        JobError: `no-job`, `part-damaged`, `other-job`, `answers-differ`, or `images-missing`.
    """
    job, images = _common_job([Path(folder) for folder in folders])
    paths = [path for folder in folders for path in part_files(Path(folder))]
    read = []
    for done, path in enumerate(paths, start=1):
        read.append(read_part(path, job, images))
        progress("merge", done, len(paths))
    table = pyarrow().concat_tables(read) if read else None
    chosen, failed, repeated = _choose(table, paths, [len(one) for one in read]) if table else (np.zeros(0, int), {}, 0)
    present = set(table["place"].to_numpy().tolist()) if table else set()
    missing = [place for place in range(job.images) if place not in present]
    if missing and not partial:
        names = ", ".join(images.files[place] for place in missing[:NAMED]) + (", ..." if len(missing) > NAMED else "")
        what = f"{len(missing):,} of {job.images:,} images are in no part: {names}"
        remedy = "run `wildbench detect` again with the same --out: it goes on where it stopped; or give --partial"
        raise JobError(what, code="images-missing", remedy=remedy)
    detections = _detections(table.take(chosen)) if table else Detections.from_coco([])
    return Merged(job, images, detections, failed, missing, len(paths), repeated)


def write_merged(merged: Merged, out: Path) -> None:
    """Write the predictions: COCO results, or columns where `out` ends in `.parquet`.

    Images without an answer are listed beside them, in `NAME.unanswered.csv`, where there are any.

    Raises:
        OutputError: They cannot be written.
    """
    write_predictions(merged.detections, out, merged.images.originals)
    table = out.with_name(f"{out.stem}.unanswered.csv")
    reasons = dict.fromkeys(merged.missing, "in no part") | merged.failed
    table.unlink(missing_ok=True)
    if reasons:
        text = io.StringIO()
        rows = csv.writer(text, lineterminator="\n")
        rows.writerow(["file_name", "reason"])
        rows.writerows([merged.images.files[place], reasons[place]] for place in sorted(reasons))
        write_atomically(table, text.getvalue().encode())


def _common_job(folders: Sequence[Path]) -> tuple[Job, Images]:
    job, images = read_job(folders[0])
    for folder in folders[1:]:
        check_same(job, read_job(folder)[0], folder)
    return job, images


def _choose(table: Any, paths: Sequence[Path], lengths: Sequence[int]) -> tuple[Ints, dict[int, str], int]:  # noqa: ANN401
    """The rows that count, by place; why places failed that have none; and how many rows were repetitions.

    Raises:
        JobError: `answers-differ`: names both parts.
    """
    places = table["place"].to_numpy()
    error = table["error"].is_valid().to_numpy()
    order = np.lexsort((error, places))  # stable: an answer before a failure, earlier parts first
    first = np.r_[True, places[order][1:] != places[order][:-1]]
    leader = order[np.flatnonzero(first)[np.cumsum(first) - 1]]
    again = ~first & ~error[order]
    for row, other in zip(order[again].tolist(), leader[again].tolist(), strict=True):
        if not _equal(table, row, other):
            part = np.repeat(np.arange(len(paths)), lengths)
            name = table["file_name"][row].as_py()
            what = f"{name}: {paths[part[other]]} and {paths[part[row]]} have different answers"
            remedy = "find out which machine is wrong, delete its parts, and run those shards again"
            raise JobError(what, code="answers-differ", remedy=remedy)
    kept = order[first]
    failed = kept[error[kept]]
    reasons = dict(zip(places[failed].tolist(), table["error"].take(failed).to_pylist(), strict=True))
    return kept[~error[kept]], reasons, int(again.sum())


def _equal(table: Any, row: int, other: int) -> bool:  # noqa: ANN401
    names = ("pixels_sha256", "boxes", "category_ids", "scores", "masks")
    return all(table[name][row].equals(table[name][other]) for name in names)


def _detections(table: Any) -> Detections:  # noqa: ANN401
    lists = {name: table[name].combine_chunks() for name in ("boxes", "category_ids", "scores", "masks")}
    counts = table["scores"].combine_chunks().value_lengths().to_numpy()
    masks = lists["masks"]
    with_masks = len(masks) and not masks.null_count
    return Detections(
        np.repeat(table["image_id"].to_numpy(), counts),
        lists["category_ids"].flatten().to_numpy(),
        lists["boxes"].flatten().to_numpy().reshape(-1, 4),
        scores=lists["scores"].flatten().to_numpy(),
        masks=objects(json.loads(one) for one in masks.flatten().to_pylist()) if with_masks else None,
    )
