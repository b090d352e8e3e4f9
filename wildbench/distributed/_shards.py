"""Which images are this process's own: shard I of N, said by the caller or by the scheduler that started it."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

from wildbench.errors import JobError


@dataclass(frozen=True)
class Shard:
    """Every `count`-th image, from the `index`-th on.

    Attributes:
        index: From 1 to `count`.
        count: Into how many the images are divided.

    Example:
        >>> Shard.parse("2/3").places(8), Shard().places(2)
        (range(1, 8, 3), range(0, 2))
    """

    index: int = 1
    count: int = 1

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"

    def places(self, images: int) -> range:
        """The places of its images among all of them, from 0."""
        return range(self.index - 1, images, self.count)

    @classmethod
    def parse(cls, text: str) -> Shard:
        """Read "I/N".

        Raises:
            JobError: `bad-shard`.
        """
        match = re.fullmatch(r"(\d{1,9})/(\d{1,9})", text)
        index, count = map(int, match.groups()) if match else (0, 0)
        if not 1 <= index <= count:
            raise JobError(f"shard {text!r}", code="bad-shard", remedy="give I/N with I from 1 to N, such as 1/64")
        return cls(index, count)


@dataclass(frozen=True)
class _Scheduler:
    """The environment variables by which a scheduler says which of how many a process is."""

    name: str
    index: str
    count: str
    first: str | None = None
    """Variable of the lowest index; 0 where there is none."""


_SCHEDULERS = (
    _Scheduler("a SLURM array", "SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_COUNT", "SLURM_ARRAY_TASK_MIN"),
    _Scheduler("torchrun", "RANK", "WORLD_SIZE"),
    _Scheduler("a Kubernetes indexed job", "JOB_COMPLETION_INDEX", "JOB_COMPLETIONS"),
)


def shard_of_environment(environment: Mapping[str, str] = os.environ) -> tuple[Shard, str]:
    """The shard that a scheduler gave this process, and who it was; everything, and "", where none did.

    Kubernetes says the index alone: the job's template has to pass `completions` as JOB_COMPLETIONS.

    Raises:
        JobError: `bad-shard`: the variables contradict each other, or the count is missing.

    Example:
        >>> shard_of_environment({"RANK": "3", "WORLD_SIZE": "8"})
        (Shard(index=4, count=8), 'torchrun')
    """
    for scheduler in _SCHEDULERS:
        if scheduler.index not in environment:
            continue
        names = [scheduler.index, scheduler.count, *([scheduler.first] if scheduler.first else [])]
        texts = [environment.get(name, "") for name in names]
        what = ", ".join(f"{name}={text or '(unset)'}" for name, text in zip(names, texts, strict=True))
        if not all(re.fullmatch(r"\d{1,9}", text) for text in texts):
            remedy = f"set {scheduler.count} to the number of shards, or give --shard I/N"
            raise JobError(f"{scheduler.name}: {what}", code="bad-shard", remedy=remedy)
        index, count, first = [*map(int, texts), 0][:3]
        step = int(environment.get("SLURM_ARRAY_TASK_STEP", "1")) if scheduler.first else 1
        place, rest = divmod(index - first, step)
        if rest or not 0 <= place < count:
            raise JobError(f"{scheduler.name}: {what}", code="bad-shard", remedy="give --shard I/N")
        return Shard(place + 1, count), scheduler.name
    return Shard(), ""
