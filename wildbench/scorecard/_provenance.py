"""What was evaluated, on what, where, and under which rules."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from wildbench.scorecard._figure import Count, Keyed, Label, Listed, Record, Text
from wildbench.text import MOST_NAME, named

Name = Annotated[str, BeforeValidator(named), Field(max_length=MOST_NAME)]


class Submission(Record):
    """What was evaluated."""

    name: Name
    file: Label = Field(description="Name of the submission file, without its folder.")
    sha256: Label = Field(description="Hash of the file's bytes; of several files, of their SHA256SUMS.")
    format: Label = Field(pattern="^[a-z0-9-]+$", description="Name of the file's format, or coco-results.")
    detector: Label | None = Field(default=None, description="Architecture by its name in the zoo, or by the manifest.")
    authors: Listed[Label] = Field(default_factory=list)
    licence: Label | None = None
    method: Text | None = Field(default=None, description="How it was compressed, in the authors' words.")
    training_data: Text | None = None
    parent: Label | None = Field(default=None, description="SHA-256 of the dense submission it was made from.")
    manifest: Label | None = Field(
        default=None, description="Where it was stated what the detector takes and answers; null for predictions."
    )


class Execution(Record):
    """What really ran the network, as its runtime says."""

    device: Label = Field(description="cpu, or the CUDA device's name.")
    runtime: Label | None = Field(default=None, description="The library, with its version.")
    provider: Label | None = Field(default=None, description="What of the library ran it: a provider or a delegate.")
    precision: Keyed[Count] = Field(
        default_factory=dict, description="Number of operators by the type in which they were calculated, where told."
    )


class Protocol(Record):
    """The rules this record was made under; docs/protocol.md states each."""

    version: Count = 1
    iou_thresholds: Listed[float] = Field(default_factory=lambda: [round(0.5 + 0.05 * i, 2) for i in range(10)])
    max_detections: Listed[Count] = Field(default_factory=lambda: [1, 10, 100])
    engine: Label = Field(description="The library that computed AP, with its version.", pattern=r"^hotcoco \S+$")
    batch_size: Count = 1
    trusted: bool = Field(default=False, description="In records made before the jail: whether the file ran code.")


class Grouping(Record):
    """How the categories of a data set, and what a detector calls them, were put together before anything was scored.

    Example:
        >>> Grouping(merge={"animal": ["*"]}).model_dump(exclude_defaults=True)
        {'merge': {'animal': ['*']}}
    """

    merge: Keyed[Listed[Label]] = Field(
        default_factory=dict, description="Categories that are scored as one, by the name they get; * stands for all."
    )
    names: Keyed[Label] = Field(
        default_factory=dict, description="Names, of the data set or of the detector, that are read as another."
    )
    known: Listed[Label] | None = Field(
        default=None, description="Categories that the detector can tell, where a person says so; null for its own."
    )


class Dataset(Record):
    """What it was evaluated on."""

    name: Label
    split: Label | None = None
    sha256: Label = Field(description="Hash of the canonical COCO JSON that was scored, after any --limit.")
    images: Count
    boxes: Count
    categories: Listed[Label]
    partial_labels: bool = Field(description="Whether images carry `annotated_categories`.")
    limit: Count | None = Field(default=None, description="--limit, where only the first images were used.")
    grouping: Grouping | None = Field(
        default=None, description="How categories were put together; null where they are those of the file."
    )


class Isolation(Record):
    """What kept the detector in, as tried from inside its process before the submission was read."""

    level: Literal["namespaces", "landlock", "process"] = Field(
        description="Namespaces around Landlock and a filter of system calls; these two alone; or a plain process."
    )
    probes: Keyed[bool] = Field(description="What was tried, and whether it was stopped.")
    not_enforced: Listed[Label] = Field(description="What was not stopped.")
    cgroup: bool | None = Field(
        default=None,
        description="Whether a control group bounded the memory and the number of all its processes together; false "
        "where none is delegated, and limits of each process stand alone.",
    )


class Environment(Record):
    """Where it was measured."""

    wildbench: Label
    python: Label
    platform: Label
    cpu: Label
    cpu_count: Count
    gpu: Label | None = None
    packages: Keyed[Label]
    isolation: Isolation | None = Field(
        default=None, description="What kept the detector in; null where none ran, and in records made before the jail."
    )
