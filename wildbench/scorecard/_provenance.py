"""What was evaluated, on what, where, and under which rules."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from wildbench.scorecard._figure import Record


class Submission(Record):
    """What was evaluated."""

    name: str
    file: str = Field(description="Name of the submission file, without its folder.")
    sha256: str = Field(description="Hash of the file's bytes.")
    format: str = Field(pattern="^[a-z0-9-]+$", description="Name of the file's format, or coco-results.")
    detector: str | None = Field(default=None, description="Architecture by its name in the zoo, or by the manifest.")
    authors: list[str] = Field(default_factory=list)
    licence: str | None = None
    method: str | None = Field(default=None, description="How it was compressed, in the authors' words.")
    training_data: str | None = None
    parent: str | None = Field(default=None, description="SHA-256 of the dense submission it was made from.")
    manifest: str | None = Field(
        default=None, description="Where it was stated what the detector takes and answers; null for predictions."
    )


class Execution(Record):
    """What really ran the network, as its runtime says."""

    device: str = Field(description="cpu, or the CUDA device's name.")
    runtime: str | None = Field(default=None, description="The library, with its version.")
    provider: str | None = Field(default=None, description="What of the library ran it: a provider or a delegate.")
    precision: dict[str, int] = Field(
        default_factory=dict, description="Number of operators by the type in which they were calculated, where told."
    )


class Protocol(Record):
    """The rules this record was made under; docs/protocol.md states each."""

    version: int = 1
    iou_thresholds: list[float] = Field(default_factory=lambda: [round(0.5 + 0.05 * i, 2) for i in range(10)])
    max_detections: list[int] = Field(default_factory=lambda: [1, 10, 100])
    engine: str = Field(description="The library that computed AP, with its version.")
    batch_size: int = 1
    trusted: bool = Field(
        default=False, description="Of records of before detectors were jailed: whether they ran code."
    )


class Dataset(Record):
    """What it was evaluated on."""

    name: str
    split: str | None = None
    sha256: str = Field(description="Hash of the canonical COCO JSON that was scored, after any --limit.")
    images: int
    boxes: int
    categories: list[str]
    partial_labels: bool = Field(description="Whether images carry `annotated_categories`.")
    limit: int | None = Field(default=None, description="--limit, where only the first images were used.")


class Isolation(Record):
    """What kept the detector in, as tried from inside its process before the submission was read."""

    level: Literal["namespaces", "landlock", "process"] = Field(
        description="Namespaces around Landlock and a filter of system calls; these two alone; or a plain process."
    )
    probes: dict[str, bool] = Field(description="What was tried, and whether it was stopped.")
    not_enforced: list[str] = Field(description="What was not stopped.")


class Environment(Record):
    """Where it was measured."""

    wildbench: str
    python: str
    platform: str
    cpu: str
    cpu_count: int
    gpu: str | None = None
    packages: dict[str, str]
    isolation: Isolation | None = Field(
        default=None, description="What kept the detector in; null where none ran, or in a record of before."
    )
