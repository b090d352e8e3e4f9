"""A machine whose truth is known: a port that keeps its own time.

A call takes `typical` seconds, times what the session has, what the call has and what the machine does meanwhile. The
kernel's accounts are kept as a kernel keeps them: in hundredths of a second, with a little going on at any time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from wildbench.measures.latency import Facts, Plan, Session, take_session, two_modes, unfinished

TYPICAL = 0.050
CPUS, THREADS = 2, 1
BACKGROUND = 0.01
"""Share of all processors that others take on an idle machine, on average."""

OPENING = 2.5
"""Seconds that a process takes to start, and its first calls."""


@dataclass(frozen=True)
class Scenario:
    """What the machine and the detector are like.

    Attributes:
        name: For the table.
        session: Standard deviation of the sessions, in logarithms; `call` that of the calls.
        tail: Share of calls that take up to three times as long.
        drift: By which share a session's last call takes longer than its first.
        modes: Where the two times lie, and whether they change from session to session or from call to call.
        neighbour: Share of the time that another process takes a processor, with a spell of some seconds each.
        slower: What a call then takes longer.
        throttled: Whether the processor slows down for its heat in the middle of every session.
        refused: Whether there must be no figure.
    """

    name: str
    session: float = 0.01
    call: float = 0.02
    tail: float = 0.0
    drift: float = 0.0
    modes: tuple[float, Literal["sessions", "calls"]] | None = None
    neighbour: float = 0.0
    slower: float = 1.3
    throttled: bool = False
    refused: bool = False


SCENARIOS = (
    Scenario("stationary"),
    Scenario("sessions alike", session=0.0),
    Scenario("sessions apart", session=0.04),
    Scenario("heavy tail", tail=0.03),
    Scenario("drift", drift=0.03),
    Scenario("two modes, sessions", session=0.0, call=0.005, modes=(1.5, "sessions")),
    Scenario("two modes, calls", modes=(1.5, "calls")),
    Scenario("neighbour at times", neighbour=0.25),
    Scenario("neighbour always", neighbour=1.0, refused=True),
    Scenario("throttling", throttled=True),
)


class Machine:
    """A simulated machine with a detector on it; the port of one session after the other."""

    def __init__(self, scenario: Scenario, seed: int) -> None:
        self._scenario, self._random = scenario, np.random.default_rng(seed)
        self._time = self._others = self._own = 0.0
        self._heat = 0
        self._spell, self._loud = 0.0, False
        self.begin()

    def begin(self) -> None:
        """Start the next session."""
        one = self._scenario
        self._effect = self._random.normal(0, one.session)
        if one.modes and one.modes[1] == "sessions":
            self._effect += np.log(one.modes[0]) * self._random.integers(2)
        self._first = self._time
        self._pass(OPENING, 1.0)

    def call(self) -> None:
        """Detect in one image."""
        progress = (self._time - self._first - OPENING) / PLAN.seconds
        factor = self._effect + draw(self._scenario, self._random) + self._scenario.drift * (progress - 0.5)
        if self._scenario.throttled and 0.4 < progress < 0.7:
            factor, self._heat = factor + np.log(1.4), self._heat + 1
        if self._loud:
            factor += np.log(self._scenario.slower)
        self._pass(TYPICAL * float(np.exp(factor)), THREADS)

    def reference(self) -> float:
        """Seconds of the reference network, which a neighbour slows as much."""
        seconds = 0.004 * float(np.exp(self._random.normal(0, 0.02))) * (self._scenario.slower if self._loud else 1.0)
        self._pass(2 * seconds, 1.0)
        return seconds

    def _pass(self, seconds: float, processors: float) -> None:
        self._time += seconds
        self._own += processors * seconds
        self._others += seconds * CPUS * self._random.exponential(BACKGROUND) + (seconds if self._loud else 0.0)
        self._spell -= seconds
        if self._spell <= 0:
            self._loud = self._random.random() < self._scenario.neighbour
            self._spell = self._random.exponential(3.0)

    def now(self) -> float:
        """Seconds of the machine."""
        return self._time

    def record(self) -> float:
        """The same: a call ends before the next begins."""
        return self._time

    def elapsed(self, start: float, end: float) -> float:
        """Seconds between two marks."""
        return end - start

    def sync(self) -> None:
        """Nothing is under way."""

    def facts(self) -> Facts:
        """The accounts of a kernel."""
        return Facts(CPUS, busy=round(self._others + self._own, 2), own=self._own, heat=self._heat)


def draw(scenario: Scenario, random: np.random.Generator, size: int | None = None) -> np.ndarray:
    """What calls have of their own, in logarithms."""
    values = random.normal(0, scenario.call, size)
    slow = random.random(size) < scenario.tail
    values = values + slow * np.log(random.uniform(1.2, 3.0, size))
    if scenario.modes and scenario.modes[1] == "calls":
        values = values + np.log(scenario.modes[0]) * (random.random(size) < 0.3)
    return np.asarray(values)


PLAN = Plan()


@dataclass(frozen=True)
class Outcome:
    """What the protocol came to.

    Attributes:
        sessions: All that were taken.
        found: The two modes, or None.
        spent: Seconds of measuring; `passed` has those of everything.
    """

    sessions: list[Session]
    found: tuple[float, float] | None
    spent: float
    passed: float


def measure(scenario: Scenario, seed: int, plan: Plan = PLAN) -> Outcome:
    """Run the protocol on a machine."""
    machine = Machine(scenario, seed)
    sessions: list[Session] = []
    spent = 0.0
    while True:
        quiet = [one.times for one in sessions if one.quiet]
        if not unfinished(quiet, plan) or spent >= plan.budget or machine.now() >= plan.longest:
            return Outcome(sessions, two_modes(quiet), spent, machine.now())
        if sessions:
            machine.begin()
        session = take_session(machine, machine.call, machine.reference, plan, threads=THREADS, ends=plan.longest)
        sessions.append(session)
        spent += float(session.times.sum())


def truth(scenario: Scenario, p: float) -> float:
    """Seconds of the p-quantile in a typical session on a quiet machine."""
    random = np.random.default_rng(1)
    values = draw(scenario, random, 400_000)
    values = values + scenario.drift * random.uniform(-0.5, 0.5, len(values))
    return TYPICAL * float(np.exp(np.quantile(values, p)))
