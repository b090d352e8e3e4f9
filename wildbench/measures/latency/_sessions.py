"""Sessions: the detector in fresh processes, one after the other, each with a reference network of its own.

The parent chooses how many come while the pass over all images is held still, and how many after it, so that what the
machine does at one hour is not all there is. Every session is shown images of the data set, drawn anew, and its answers
are held against those of the pass.
"""

from __future__ import annotations

import math
import os
import random
import secrets
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from wildbench.errors import DetectorError
from wildbench.measures.latency._estimates import (
    Plan,
    Session,
    Times,
    early_stopping,
    mean_of,
    quantile_of,
    ratio_of,
    spread_of,
    two_modes,
    unfinished,
)
from wildbench.measures.latency._machine import look
from wildbench.measures.latency._ports import Facts, take_session
from wildbench.measures.latency._quantiles import percentile_figure
from wildbench.measures.latency._stopwatch import ROUND, time_reference, warm
from wildbench.measures.reference_network import Reference
from wildbench.measures.repetition import STRICT, difference
from wildbench.progress import Progress
from wildbench.scorecard import Audit, Figure, Latency, LatencySession, Sustained, SustainedMinute
from wildbench.submissions.process import processor_seconds, tree

if TYPE_CHECKING:
    from wildbench.submissions.process import Answer, Detections, Sandbox

Image = npt.NDArray[np.uint8]
Load = Callable[[Path], Image]

BUDGET = 30.0
"""Seconds of measuring, unless `WILDBENCH_LATENCY_BUDGET` says otherwise."""

IMAGES = 48
"""Of the data set that a session is shown, over and over, in the order in which they were drawn."""

COMPARED = 8
"""Answers of a session that are held against those of the pass."""

DURING = 2
"""Sessions that come while the pass is held still."""


def default_budget() -> float:
    """Seconds, by the environment."""
    return float(os.environ.get("WILDBENCH_LATENCY_BUDGET", BUDGET))


class SandboxPort:
    """The port of a detector in a sandbox: its clock runs while the parent waits for an answer.

    Args:
        box: The open detector.
        images: What it is shown.
    """

    def __init__(self, box: Sandbox, images: Sequence[Image]) -> None:
        self._box, self._images = box, cycle(images)
        self._clock = 0.0
        self.answers: list[Answer] = []

    def call(self) -> None:
        """Show the next image."""
        answer = self._box.predict(next(self._images))
        self._clock += answer.seconds
        self.answers.append(replace(answer, detections=replace(answer.detections, masks=None)))

    def now(self) -> float:
        """Seconds of the parent."""
        return time.perf_counter()

    def record(self) -> float:
        """Seconds that the detector had so far."""
        return self._clock

    def elapsed(self, start: float, end: float) -> float:
        """Seconds between two marks."""
        return end - start

    def sync(self) -> None:
        """Nothing: an answer is there when it is complete."""

    def facts(self) -> Facts:
        """What the machine has counted."""
        own = processor_seconds(tree(os.getpid()))
        return look(tree(self._box.pid), sum(own.values()), self._box.device)


class Sessions:
    """Takes sessions of one submission until they say enough; see `Plan`.

    Args:
        box: The open submission that the pass runs in.
        paths: Images of the data set that are scored, by their place in it.
        load: Decodes one.
        plan: How much is measured; a budget of 0 measures nothing.
    """

    def __init__(self, box: Sandbox, paths: Sequence[Path], load: Load, plan: Plan) -> None:
        self._box, self._paths, self._load, self.plan = box, paths, load, plan
        self._random = random.Random(secrets.randbits(64))
        self._taken: list[Session] = []
        self._stages: list[dict[str, float]] = []
        self._answers: list[tuple[int, Detections]] = []
        self._spent = self._passed = self._opening = 0.0
        self._fault = ""

    def turns(self, showings: int) -> set[int]:
        """After which showings of the pass a session is taken."""
        if not self.plan.budget or showings < 2 * DURING:
            return set()
        return set(self._random.sample(range(1, showings), DURING))

    @property
    def quiet(self) -> list[Times]:
        """Times of each session that counts."""
        return [one.times for one in self._taken if one.quiet]

    def why_stopped(self) -> str | None:
        """Why no further session is taken; None while more are wanted."""
        if self._fault:
            return self._fault
        short = unfinished(self.quiet, self.plan)
        if short is None:
            return "enough"
        if self._spent >= self.plan.budget:
            return f"the budget of {self.plan.budget:g} s ended: {short}"
        if self._passed + self._opening >= self.plan.longest:  # nothing but opening would fit
            return f"{self.plan.longest:g} s ended, with opening and disturbed blocks: {short}"
        return None

    def take(self) -> None:
        """Take one session, while the pass's processes are stopped."""
        if self.why_stopped():
            return
        begin = time.perf_counter()
        try:
            session, port, places = self._session(begin + self.plan.longest - self._passed)
        except DetectorError as error:  # what the pass measured stands
            self._fault = f"a session failed: {error.what}"
            return
        self._passed += time.perf_counter() - begin
        self._opening = max(self._opening, session.cold or 0.0)
        self._spent += float(session.times.sum())
        self._taken.append(session)
        self._answers += zip(places, (one.detections for one in port.answers[:COMPARED]), strict=False)
        if session.quiet:
            kept = (port.answers[place] for place in session.places)
            self._stages += [{name: s for name, s in one.stages.items() if math.isfinite(s)} for one in kept]

    def _session(self, ends: float, threads: int | None = None) -> tuple[Session, SandboxPort, list[int]]:
        places = self._random.sample(range(len(self._paths)), min(IMAGES, len(self._paths)))
        begin = time.perf_counter()
        with (
            self._box.held(),
            self._box.twin(threads) as twin,
            Reference(self._box.device, twin.threads) as network,
            ThreadPoolExecutor(1) as beside,
        ):
            decoded = beside.submit(lambda: [self._load(self._paths[place]) for place in places])
            twin.ready()
            opened = time.perf_counter() - begin
            images = decoded.result()
            first = time.perf_counter()
            twin.predict(images[-1])
            cold = opened + time.perf_counter() - first
            warmup = ROUND * len(warm(twin, images[::-1]))
            network.seconds()
            port = SandboxPort(twin, images)
            session = take_session(
                port,
                port.call,
                lambda: time_reference(twin, network),
                self.plan,
                threads=twin.threads if self._box.device == "cpu" else 1,
                ends=ends,
            )
        return replace(session, cold=cold, warmup=warmup), port, places

    def by_threads(self, counts: Sequence[int]) -> dict[str, Figure]:
        """p50 of one session with each number of CPU threads; null where it was disturbed."""
        figures = {}
        for count in counts:
            session, _, _ = self._session(time.perf_counter() + 2 * self.plan.seconds + 60, count)
            reason = f"disturbed: {_shown(session.discarded)}"
            milliseconds = (1000 * session.times).tolist()
            figures[str(count)] = (
                percentile_figure(milliseconds, 0.5, "ms")
                if session.quiet
                else Figure.undefined("ms", reason, len(session.times))
            )
        return figures

    def sustained(self, minutes: float, progress: Progress) -> Sustained:
        """Run one process without a pause, and say what each minute was like."""
        places = self._random.sample(range(len(self._paths)), min(IMAGES, len(self._paths)))
        images = [self._load(self._paths[place]) for place in places]
        rows: list[SustainedMinute] = []
        whole = max(1, math.ceil(minutes))
        length = 60 * minutes / whole
        with self._box.held(), self._box.twin() as twin:
            warm(twin, images)
            port = SandboxPort(twin, images)
            for minute in range(whole):
                progress("sustained", minute, whole)
                before, begin = len(port.answers), time.perf_counter()
                while time.perf_counter() - begin < length:
                    port.call()
                times = [1000 * one.seconds for one in port.answers[before:]]
                facts = port.facts()
                p50, p90 = np.quantile(times, [0.5, 0.9])
                row = SustainedMinute(p50=p50, p90=p90, n=len(times), clock=facts.clock, temperature=facts.temperature)
                rows.append(row)
            progress("sustained", whole, whole)
        degradation = Figure(value=rows[-1].p50 / rows[0].p50, unit="1", n=rows[-1].n)
        if whole < 2:
            degradation = Figure.undefined("1", "there is one minute", 1)
        return Sustained(minutes=rows, degradation=degradation)

    def finish(self, passed: Latency, threads: Sequence[int], minutes: float, progress: Progress) -> Latency:
        """Take the sessions that are still wanted, and whatever else was asked for.

        Args:
            passed: What the pass measured.
            threads: Numbers of CPU threads to try.
            minutes: Of a run without a pause; 0 for none.
            progress: Called as `progress(task, done, total)`.
        """
        task = f"time {self._box.manifest.name}"
        while self.plan.budget and not self.why_stopped():
            progress(task, len(self._taken), max(self.plan.sessions, len(self._taken) + 1))
            self.take()
        if self._taken:
            progress(task, len(self._taken), len(self._taken))
        update: dict[str, Any] = {"by_threads": self.by_threads(threads)} if threads else {}
        if minutes:
            update["sustained"] = self.sustained(minutes, progress)
        return self.latency(passed).model_copy(update=update)

    def latency(self, passed: Latency) -> Latency:
        """The record: what the pass measured, with the figures of the sessions in its place."""
        if not self.plan.budget:
            return passed
        used = [one for one in self._taken if one.quiet]
        times = self.quiet
        found = {f"p{percent}": self._figure(quantile_of(times, percent / 100)) for percent in (50, 90, 99)}
        n = sum(map(len, times))
        modes = two_modes(times)
        mean = mean_of([float(one.mean()) for one in times], "ms", 1000).model_copy(update={"n": n})
        pooled = np.concatenate(times) if times else np.zeros(0)
        update: dict[str, Any] = {
            **found,
            "mean": self._figure(mean),
            "stages": {name: self._figure(self._stage(name)) for name in sorted(set().union(*self._stages))},
            "reference_ratio": self._figure(ratio_of(used)),
            "warmup_runs": sum(one.warmup for one in self._taken),
            "sessions": [_row(one) for one in self._taken],
            "spread": self._figure(spread_of(times)),
            "modes": modes and tuple(1000 * one for one in modes),
            "stopped": self.why_stopped() or "no more sessions were asked for",
            "budget": self.plan.budget,
            "early_stopping": self._figure(early_stopping(pooled)),
            "cold_start": self._figure(mean_of([one.cold for one in used if one.cold], "ms", 1000)),
            "energy": self._energy(used),
            "throughput": Figure.undefined("image/s", "the detector's process takes one image in a call"),
        }
        return passed.model_copy(update=update)

    def _stage(self, name: str) -> Figure:
        return percentile_figure([1000 * stages[name] for stages in self._stages if name in stages], 0.5, "ms")

    def _figure(self, figure: Figure) -> Figure:
        """Null with what disturbed the sessions, where too few count."""
        if len(self.quiet) >= 5 or not self._taken:
            return figure
        causes: dict[str, int] = {}
        for one in self._taken:
            for cause, count in one.discarded.items():
                causes[cause] = causes.get(cause, 0) + count
        told = f"; discarded blocks: {_shown(causes)}" if causes else ""
        reason = f"{len(self.quiet)} of {len(self._taken)} sessions were undisturbed, 5 are needed{told}"
        return Figure.undefined(figure.unit, reason, figure.n)

    def _energy(self, used: Sequence[Session]) -> Figure:
        if not any(one.joules for one in used):
            return Figure.undefined("J", "no energy counter can be read (RAPL in /sys/class/powercap, NVML)")
        return self._figure(mean_of([one.joules for one in used if one.joules], "J"))

    def audit(self, answers: dict[int, Detections]) -> list[Audit]:
        """Whether sessions answered as the pass did; nothing where there were none.

        Args:
            answers: Of the pass, by place.
        """
        pairs = [difference(answers[place], found, pixels=1, score=0.01) for place, found in self._answers]
        if not pairs:
            return []
        total = sum(weight for _, weight in pairs)
        share = sum(lost for lost, _ in pairs) / total if total else 0.0
        return [
            Audit(
                name="sessions-alike",
                passed=share <= STRICT if total >= 1 else None,
                measured=Figure(value=share, unit="1", n=len(pairs)),
                bound=STRICT,
                explanation="Share of the detections, by score, in which the sessions that are timed differ from the "
                "pass that is scored.",
            )
        ]


def _shown(causes: dict[str, int]) -> str:
    return ", ".join(f"{cause} ({count})" for cause, count in sorted(causes.items(), key=lambda pair: -pair[1]))


def _row(session: Session) -> LatencySession:
    times = 1000 * session.times
    p50, p90 = np.quantile(times, [0.5, 0.9]).tolist() if len(times) else (None, None)
    unit = 1000 * float(np.median(session.references)) if len(session.references) else None
    return LatencySession(
        p50=p50,
        p90=p90,
        n=len(times),
        ratio=p50 / unit if p50 and unit else None,
        kept=session.kept,
        discarded=session.discarded,
        used=session.quiet,
        cold_start=session.cold and 1000 * session.cold,
        clock=session.clock,
        temperature=session.temperature,
    )
