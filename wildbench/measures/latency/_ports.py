"""What times a detector, and what else the machine did meanwhile: five calls, and the decision to discard.

A port is the parent's clock over a detector's process, CUDA's events, or a simulator whose truth is known.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from wildbench.measures.latency._estimates import Plan, Session


@dataclass(frozen=True)
class Facts:
    """What the machine has counted up to now; None where it keeps no such account.

    Attributes:
        cpus: Processors that may be used.
        busy: Processor seconds that anything took on them.
        own: Processor seconds that wildbench and the detector took.
        stolen: Seconds that a hypervisor gave to others.
        waited: Seconds that the detector's threads were ready to run and did not.
        throttled: Seconds that the cgroup's quota held it.
        heat: Times that a processor slowed down for its temperature or power.
        slowed: Whether the accelerator does, now.
        clock: MHz, now.
        temperature: Degrees Celsius, now.
        joules: Energy taken.
        others: Other processes on the accelerator, now.
    """

    cpus: int = 1
    busy: float | None = None
    own: float | None = None
    stolen: float | None = None
    waited: float | None = None
    throttled: float | None = None
    heat: int | None = None
    slowed: bool | None = None
    clock: float | None = None
    temperature: float | None = None
    joules: float | None = None
    others: int | None = None


class Port(Protocol):
    """What a session needs of a clock and a machine."""

    def now(self) -> float:
        """Seconds that pass for everything."""

    def record(self) -> Any:  # noqa: ANN401 - a time, or CUDA's event
        """Mark this moment of the detector's work."""

    def elapsed(self, start: Any, end: Any) -> float:  # noqa: ANN401
        """Seconds between two marks, after `sync`."""

    def sync(self) -> None:
        """Wait for the work that was marked."""

    def facts(self) -> Facts:
        """Look at the machine."""


MOST_OTHERS = 0.05
"""Share of all usable processor time that other processes may take: a tenth of one of two processors."""
MOST_WAITED = 0.05
"""Share of the time that a thread of the detector may stand in the run queue."""
MOST_STOLEN = 0.02
LEAST_CLOCK = 0.9
"""Of the highest clock that was seen."""


def disturbance(before: Facts, after: Facts, seconds: float, threads: int, highest: float | None = None) -> str | None:
    """What disturbed the calls between two looks; None where nothing did.

    Example:
        >>> quiet, loud = Facts(2, busy=0.0, own=0.0), Facts(2, busy=1.7, own=1.0)
        >>> disturbance(quiet, loud, seconds=1.0, threads=1)
        'other processes'
    """

    def grew(name: str) -> float:
        pair = getattr(before, name), getattr(after, name)
        return 0.0 if None in pair else float(pair[1] - pair[0])

    capacity = seconds * after.cpus
    if after.others:
        return "another process on the accelerator"
    if grew("throttled") > 0:
        return "the control group's quota"
    if after.slowed or grew("heat") > 0:
        return "throttling for heat or power"
    if grew("stolen") > MOST_STOLEN * capacity:
        return "the hypervisor"
    if grew("busy") - grew("own") > MOST_OTHERS * capacity:
        return "other processes"
    if grew("waited") > MOST_WAITED * seconds * threads:
        return "waiting for a processor"
    if after.clock and highest and after.clock < LEAST_CLOCK * highest:
        return "a lower clock"
    return None


def take_session(
    port: Port,
    call: Callable[[], object],
    reference: Callable[[], float],
    plan: Plan,
    *,
    threads: int = 1,
    least: int = 3,
    ends: float = float("inf"),
) -> Session:
    """Time calls in blocks until the session's share of the budget is full; what was disturbed is taken again.

    Args:
        port: Whose clock and machine.
        call: One image.
        reference: Runs the reference network after each block and gives its seconds.
        plan: How long.
        threads: Of the detector.
        least: Calls of a block.
        ends: When, by `port.now`, the session ends in any case.
    """
    times: list[float] = []
    places: list[int] = []
    references: list[float] = []
    clocks: list[float] = []
    discarded: Counter[str] = Counter()
    made, kept, joules, highest, latest = 0, 0, 0.0, None, None
    begin, spent = port.now(), 0.0
    while spent < plan.seconds and len(times) < plan.calls:
        before, start = port.facts(), port.now()
        if start >= ends or start - begin >= 2 * plan.seconds:
            break
        marks = _block(port, call, plan, least)
        unit = reference()
        after, seconds = port.facts(), port.now() - start
        highest = max(filter(None, (highest, after.clock)), default=None)
        reason = disturbance(before, after, seconds, threads, highest)
        latest = after.temperature
        made += len(marks)
        if reason:
            discarded[reason] += 1
            continue
        kept, spent = kept + 1, spent + seconds
        joules += (after.joules or 0.0) - (before.joules or 0.0)
        times += marks
        places += range(made - len(marks), made)
        references.append(unit)
        clocks += [after.clock] if after.clock else []
    return Session(
        np.array(times),
        np.array([one for one in references if one == one]),
        dict(discarded),
        kept,
        places=places,
        joules=joules / len(times) if joules and times else None,
        clock=float(np.median(clocks)) if clocks else None,
        temperature=latest,
    )


def _block(port: Port, call: Callable[[], object], plan: Plan, least: int) -> Sequence[float]:
    """Seconds of each call of a block."""
    pairs: list[tuple[Any, Any]] = []
    start = port.now()
    while port.now() - start < plan.block or len(pairs) < least:
        first = port.record()
        call()
        pairs.append((first, port.record()))
    port.sync()
    return [port.elapsed(*pair) for pair in pairs]
