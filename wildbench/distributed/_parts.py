"""Parts: what was detected in some images, in one file that is whole or not there, and says of which job it is."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from wildbench.datasets.coco import Ints, objects
from wildbench.datasets.predictions import Detections
from wildbench.distributed._job import FILE, KEY, Images, Job, check_same, job_in
from wildbench.errors import JobError
from wildbench.files import pyarrow, read_table, write_table

PREFIX = "part-"

DELETE = "delete it, and run its shard again"


@dataclass(frozen=True)
class Row:
    """One image of a job, and what came of it.

    Attributes:
        place: Of the image among the job's, from 0.
        detections: In the order in which ties are ranked; none where `error` is not None.
        pixels_sha256: Of the decoded pixels.
        error: Why there is no answer.
        seconds: That the detector took, by the clock of the process that asked it; beside whatever else ran there.
    """

    place: int
    detections: Detections
    pixels_sha256: str | None = None
    error: str | None = None
    seconds: float | None = None


NOTHING = Detections.from_coco([])


@cache
def schema(sent: bool = False) -> Any:  # noqa: ANN401 - pyarrow has no types
    """Of a part; or, where rows are sent from one process to another, without what the receiver knows."""
    pa = pyarrow()
    fields = [
        ("place", pa.int64()),
        ("image_id", pa.int64()),
        ("file_name", pa.string()),
        ("pixels_sha256", pa.string()),
        ("error", pa.string()),
        ("boxes", pa.list_(pa.float64())),
        ("category_ids", pa.list_(pa.int64())),
        ("scores", pa.list_(pa.float64())),
        ("masks", pa.list_(pa.string())),
        ("seconds", pa.float64()),
    ]
    return pa.schema([field for field in fields if not (sent and field[0] in ("image_id", "file_name"))])


def write_part(folder: Path, job: Job, images: Images, rows: list[Row]) -> Path:
    """Write some images' answers as one part.

    Raises:
        OutputError: It cannot be written; nothing is left of it.
    """
    places = {
        "image_id": [images.ids[row.place] for row in rows],
        "file_name": [images.files[row.place] for row in rows],
    }
    path = folder / f"{PREFIX}{job.fingerprint[:12]}-{rows[0].place:09}-{secrets.token_hex(4)}.parquet"
    table = pyarrow().table(columns_of(rows) | places, schema=schema())
    write_table(path, table, {KEY: job.to_json().encode()})
    return path


def columns_of(rows: Sequence[Row]) -> dict[str, list[Any]]:
    """Rows as they are kept, and sent from one process to another."""
    return {
        "place": [row.place for row in rows],
        "pixels_sha256": [row.pixels_sha256 for row in rows],
        "error": [row.error for row in rows],
        "boxes": [row.detections.boxes.ravel() for row in rows],
        "category_ids": [row.detections.category_ids for row in rows],
        "scores": [row.detections.scores for row in rows],
        "masks": [
            None if row.detections.masks is None else [json.dumps(one, sort_keys=True) for one in row.detections.masks]
            for row in rows
        ],
        "seconds": [row.seconds for row in rows],
    }


def row_of(kept: Mapping[str, Any], image_ids: Ints) -> Row:
    """The row of which `columns_of` made these values."""
    place, masks = kept["place"], kept["masks"]
    category_ids = np.array(kept["category_ids"], dtype=np.int64)
    detections = Detections(
        np.full(len(category_ids), image_ids[place]),
        category_ids,
        np.array(kept["boxes"], dtype=np.float64).reshape(-1, 4),
        scores=np.array(kept["scores"], dtype=np.float64),
        masks=None if masks is None else objects(map(json.loads, masks)),
    )
    return Row(place, detections, kept["pixels_sha256"], kept["error"], kept["seconds"])


def part_files(folder: Path) -> list[Path]:
    """The parts of a folder, by name: whatever is Parquet in it, the job's own file aside."""
    return sorted(path for path in folder.glob("*.parquet") if path.name != FILE and not path.name.startswith("."))


def read_part(path: Path, job: Job, images: Images, columns: list[str] | None = None) -> Any:  # noqa: ANN401
    """Read a part as a pyarrow table.

    Raises:
        JobError: `part-damaged`, or `other-job`.
    """
    table, metadata = read_table(path, JobError, "part-damaged", DELETE)
    check_same(job, job_in(metadata, path), path)
    if not table.schema.equals(schema()):
        raise _damaged(path)
    places = table["place"].to_numpy()
    inside = len(places) > 0 and places.min() >= 0 and places.max() < job.images
    if not inside or not np.array_equal(images.ids[places], table["image_id"].to_numpy()):
        raise _damaged(path)
    return table if columns is None else table.select(columns)


def _damaged(path: Path) -> JobError:
    what = f"{path}: its columns or images are not those of its job"
    return JobError(what, code="part-damaged", remedy=DELETE)


def answered(folder: Path, job: Job, images: Images) -> set[int]:
    """The places of the images of which a folder's parts have an answer; a failure is none."""
    found: set[int] = set()
    for path in part_files(folder):
        table = read_part(path, job, images, ["place", "error"])
        found.update(table["place"].to_numpy()[table["error"].is_null().to_numpy()].tolist())
    return found
