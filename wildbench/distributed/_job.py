"""What is detected where: the one thing that every part of a run must agree on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from wildbench.datasets.coco import Dataset, Ints
from wildbench.errors import JobError
from wildbench.files import pyarrow, read_table, write_table

PROTOCOL = 1
"""Of how detections are made: parts of different protocols are never merged."""

FILE = "job.parquet"
"""Beside the parts: which images the whole run has."""

KEY = b"wildbench.job"
"""Of the job, in the metadata of its file and of every part."""


@dataclass(frozen=True)
class Job:
    """One detector on one set of images.

    Attributes:
        submission: The file's name.
        submission_sha256: Of the submission.
        dataset: The data set's name, with its split.
        images: How many it has.
        images_sha256: Of the images' ids and file names, in order.
        labels: The data set's category id of each of the detector's labels that it knows.
        categories: Names of the data set's categories by their id.
        threads: CPU threads of the detector: libraries add up in another order where they are more.
        protocol: See `PROTOCOL`.

    Example:
        >>> job = Job("a.onnx", "00", "tiny", 1, "11", {1: 7}, {7: "lion"})
        >>> job.fingerprint[:12], Job.from_json(job.to_json()) == job
        ('8e77262aefae', True)
    """

    submission: str
    submission_sha256: str
    dataset: str
    images: int
    images_sha256: str
    labels: Mapping[int, int]
    categories: Mapping[int, str]
    threads: int = 1
    protocol: int = PROTOCOL

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of everything that decides what the parts hold; names of files and data sets do not."""
        parts = {key: value for key, value in asdict(self).items() if key not in ("submission", "dataset")}
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    def to_json(self) -> str:
        """The job as one line."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str | bytes) -> Job:
        """Read what `to_json` wrote."""
        fields: dict[str, Any] = json.loads(text)
        numbered = {key: {int(id_): to for id_, to in fields[key].items()} for key in ("labels", "categories")}
        return cls(**fields | numbered)


@dataclass(frozen=True, eq=False)
class Images:
    """The images of a job, in the data set's order.

    Attributes:
        ids: int64 [image].
        files: Their file names.
        originals: What the data set's file called those that are renumbered, by their ids.
    """

    ids: Ints
    files: list[str]
    originals: dict[int, Any]

    @classmethod
    def of(cls, data: Dataset) -> Images:
        """Those of a data set."""
        ids = np.array([image["id"] for image in data.images], dtype=np.int64)
        return cls(ids, [str(image["file_name"]) for image in data.images], data.original_ids)

    @property
    def sha256(self) -> str:
        """Of ids and file names, in order."""
        digest = hashlib.sha256()
        for image_id, file in zip(self.ids.tolist(), self.files, strict=True):
            digest.update(f"{image_id}\t{file}\n".encode("utf-8", "surrogatepass"))
        return digest.hexdigest()

    def write(self, folder: Path, job: Job) -> None:
        """Write the job's file, unless it is there; every shard writes the same bytes.

        Raises:
            JobError: `other-job`: the folder has parts of another.
            OutputError: It cannot be written.
        """
        path = folder / FILE
        if path.exists():
            check_same(job, read_job(folder)[0], path)
            return
        originals = [json.dumps(self.originals[one]) if one in self.originals else None for one in self.ids.tolist()]
        pa = pyarrow()
        columns = {"image_id": self.ids, "file_name": self.files, "original_id": pa.array(originals, pa.string())}
        write_table(path, pa.table(columns), {KEY: job.to_json().encode()})


def read_job(folder: Path) -> tuple[Job, Images]:
    """Read the job's file.

    Raises:
        JobError: `no-job` or `part-damaged`.
    """
    path = folder / FILE
    if not path.is_file():
        remedy = "name a folder that `wildbench detect --out` has written"
        raise JobError(f"{folder}: no {FILE} in it", code="no-job", remedy=remedy)
    table, metadata = read_table(path, JobError, "part-damaged", "delete the folder, and detect again")
    job = job_in(metadata, path)
    ids = table["image_id"].to_numpy()
    texts = table["original_id"].to_pylist()
    originals = {int(one): json.loads(text) for one, text in zip(ids, texts, strict=True) if text is not None}
    images = Images(ids, table["file_name"].to_pylist(), originals)
    if images.sha256 != job.images_sha256:
        what = f"{path}: its images are not those of its job"
        raise JobError(what, code="part-damaged", remedy="delete the folder, and detect again")
    return job, images


def job_in(metadata: Mapping[bytes, bytes], path: Path) -> Job:
    """The job that a file's metadata names.

    Raises:
        JobError: `part-damaged`: it names none.
    """
    try:
        return Job.from_json(metadata[KEY])
    except (KeyError, TypeError, ValueError, AttributeError):
        what = f"{path}: not written by `wildbench detect`, or damaged"
        raise JobError(what, code="part-damaged", remedy="delete it, and run its shard again") from None


def check_same(mine: Job, other: Job, path: Path) -> None:
    """Refuse what belongs to another job.

    Raises:
        JobError: `other-job`; says what differs.
    """
    if mine.fingerprint == other.fingerprint:
        return
    names = {
        "submission_sha256": "submission",
        "images_sha256": "images",
        "labels": "categories",
        "categories": "categories",
        "threads": "threads",
        "protocol": "protocol",
    }
    first = next(name for name in names if getattr(mine, name) != getattr(other, name))
    whole = f"{other.submission} on {other.dataset}"
    what = f"{path}: of another job ({whole}, fingerprint {other.fingerprint[:12]}): the {names[first]} differ"
    remedy = f"keep its parts apart: this is {mine.submission} on {mine.dataset} ({mine.fingerprint[:12]})"
    raise JobError(what, code="other-job", remedy=remedy)
