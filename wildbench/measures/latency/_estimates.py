"""What the times of several sessions say: percentiles with intervals, the ratio, two modes, and when it is enough.

A session is one fresh process. Its calls have much in common (where memory lies, which kernels a library chose), so
sessions, not calls, are the sample: a percentile is the geometric mean over sessions of their medians, times the
percentile of all calls over their session's median. The first factor has Student's interval over sessions, the second
that of order statistics over calls; in logarithms, independent errors add up as squares. What the calls of a session
add to the spread of the medians is in the second already, and taken out of the first.
Everything here is a pure function of arrays.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from wildbench.measures.latency._quantiles import CONFIDENCE, quantile_ranks
from wildbench.scorecard import Figure

Times = npt.NDArray[np.float64]

LEAST_SESSIONS = 5
"""Fewer undisturbed ones give no figure."""


@dataclass(frozen=True)
class Plan:
    """How much is measured.

    Attributes:
        budget: Seconds of measuring, over all sessions; opening them is not counted, but bounded by `longest`.
        sessions: Fresh processes that are wanted: of two modes that are equally likely, 8 show both in 99 of 100 cases.
        calls: Of one session, at most.
        block: Seconds between two looks at the machine: /proc/stat counts in hundredths.
        p50: Half-width of the median's interval at which it is enough, as a share.
        p99: The same of the 99th percentile's.
    """

    budget: float = 30.0
    sessions: int = 8
    calls: int = 400
    block: float = 0.4
    p50: float = 0.02
    p99: float = 0.05

    @property
    def longest(self) -> float:
        """Seconds of everything, with opening the sessions and discarded blocks."""
        return 2 * self.budget

    @property
    def seconds(self) -> float:
        """Of measuring in one session."""
        return self.budget / self.sessions


@dataclass(frozen=True)
class Session:
    """What one fresh process took, where nothing disturbed it.

    Attributes:
        times: Seconds of each call.
        references: Seconds of each run of the reference network between them.
        discarded: Blocks of calls that something disturbed, by what it was.
        kept: Blocks of calls that nothing disturbed.
        places: Of the calls that are kept, among all.
        cold: Seconds from starting the process to its first answer; None where that was not timed.
        warmup: Calls before the first that counts.
        joules: Of one call, where the machine tells.
        clock: Median clock in MHz, and `temperature` in degrees Celsius, where the machine tells.
    """

    times: Times
    references: Times = field(default_factory=lambda: np.zeros(0))
    discarded: dict[str, int] = field(default_factory=dict)
    kept: int = 0
    places: list[int] = field(default_factory=list)
    cold: float | None = None
    warmup: int = 0
    joules: float | None = None
    clock: float | None = None
    temperature: float | None = None

    @property
    def quiet(self) -> bool:
        """Whether at least half of its blocks were undisturbed."""
        return len(self.times) > 0 and self.kept >= sum(self.discarded.values())


def quantile_of(sessions: Sequence[Times], p: float, unit: str = "ms", scale: float = 1000.0) -> Figure:
    """The p-quantile of a call in a typical session, with an interval for the next session's machine and its calls.

    Null below 5 sessions, or where there are too few calls for an interval (36 for p90, 368 for p99).

    Example:
        >>> random = np.random.default_rng(0)
        >>> figure = quantile_of([random.lognormal(-3, 0.05, 60) for _ in range(8)], 0.5)
        >>> bool(figure.interval[0] < 1000 * np.exp(-3) < figure.interval[1])
        True
    """
    n = sum(map(len, sessions))
    if len(sessions) < LEAST_SESSIONS:
        return Figure.undefined(unit, f"{LEAST_SESSIONS} sessions are needed, there are {len(sessions)}", n)
    if p != 0.5 and quantile_ranks(n, p) is None:
        return Figure.undefined(unit, f"p{100 * p:g} needs more than {n} samples for an interval", n)
    logs = [np.log(one) for one in sessions]
    middles = np.array([float(np.median(one)) for one in logs])
    value, margin = float(middles.mean()), _margin(middles)
    low = high = 0.0
    if p != 0.5:
        margin = _margin(middles, float(np.mean([_error_of_median(one) ** 2 for one in logs])))
        beyond = np.sort(np.concatenate([one - middle for one, middle in zip(logs, middles, strict=True)]))
        ranks = quantile_ranks(n, p)
        assert ranks is not None
        share = float(np.quantile(beyond, p, method="hazen"))
        value += share
        low, high = share - float(beyond[ranks[0] - 1]), float(beyond[ranks[1] - 1]) - share
    ends = value - math.hypot(margin, low), value + math.hypot(margin, high)
    return Figure(
        value=scale * math.exp(value), unit=unit, interval=(scale * math.exp(ends[0]), scale * math.exp(ends[1])), n=n
    )


def ratio_of(sessions: Sequence[Session]) -> Figure:
    """Median of the detector's times over that of the reference's, session by session; their geometric mean."""
    pairs = [(one.times, one.references) for one in sessions if len(one.references)]
    n = sum(len(references) for _, references in pairs)
    if len(pairs) < LEAST_SESSIONS:
        return Figure.undefined("1", f"{LEAST_SESSIONS} sessions are needed, there are {len(pairs)}", n)
    return _typical(np.log([np.median(times) / np.median(references) for times, references in pairs]), "1", 1.0, n)


def mean_of(values: Sequence[float], unit: str, scale: float = 1.0) -> Figure:
    """The geometric mean of one value a session."""
    if len(values) < LEAST_SESSIONS:
        reason = f"{LEAST_SESSIONS} sessions are needed, there are {len(values)}"
        return Figure.undefined(unit, reason, len(values))
    return _typical(np.log(values), unit, scale, len(values))


def _typical(logs: Times, unit: str, scale: float, n: int) -> Figure:
    """The geometric mean of one value a session, given as logarithms, with Student's interval."""
    value, margin = float(logs.mean()), _margin(logs)
    low, middle, high = (scale * math.exp(one) for one in (value - margin, value, value + margin))
    return Figure(value=middle, unit=unit, interval=(low, high), n=n)


def _margin(values: Times, noise: float = 0.0) -> float:
    """Half of Student's interval of a mean; `noise` is a part of the variance that is counted elsewhere."""
    from scipy.special import stdtrit  # here: the detector's process does without

    variance = max(0.0, float(values.var(ddof=1)) - noise)
    return float(stdtrit(len(values) - 1, (1 + CONFIDENCE) / 2)) * math.sqrt(variance / len(values))


def _error_of_median(values: Times) -> float:
    """Standard error, by the two order statistics that are one of it away from the middle."""
    ordered, step = np.sort(values), math.sqrt(len(values)) / 2
    ends = np.interp([(len(values) - 1) / 2 - step, (len(values) - 1) / 2 + step], np.arange(len(values)), ordered)
    return float(ends[1] - ends[0]) / 2


def half_width(figure: Figure) -> float:
    """Of its interval, as a share of its value; infinite where it has none."""
    if not figure.value or figure.interval is None:
        return math.inf
    return (figure.interval[1] - figure.interval[0]) / 2 / figure.value


def unfinished(sessions: Sequence[Times], plan: Plan) -> str | None:
    """Why the sessions so far are not enough; None where they are."""
    if len(sessions) < plan.sessions:
        return f"{len(sessions)} of {plan.sessions} sessions"
    for p, wanted in ((0.50, plan.p50), (0.99, plan.p99)):
        reached = half_width(quantile_of(sessions, p))
        if reached > wanted:
            shown = f"+-{100 * reached:.1f} %" if math.isfinite(reached) else "unknown"
            return f"p{100 * p:g} is {shown}, +-{100 * wanted:g} % is wanted"
    return None


def spread_of(sessions: Sequence[Times]) -> Figure:
    """Standard deviation over sessions of their medians, as a share of the mean of these."""
    medians = [float(np.median(one)) for one in sessions]
    if len(medians) < LEAST_SESSIONS:
        reason = f"{LEAST_SESSIONS} sessions are needed, there are {len(medians)}"
        return Figure.undefined("1", reason, len(medians))
    return Figure(value=float(np.std(medians, ddof=1) / np.mean(medians)), unit="1", n=len(medians))


LEAST_SHARE, LEAST_GAP = 0.1, 0.05
"""Of the calls, or sessions, in the rarer of two modes; and between the modes, of the lower one."""

WITHIN, BETWEEN = 5.5, 25.0
"""How many times the spread within two modes lies between them (Ashman's D), for calls and for sessions. A cut through
one normal mode gives 2.6, through a uniform one 3.5; a cut through 8 values is luckier."""


def two_modes(sessions: Sequence[Times]) -> tuple[float, float] | None:
    """The two times between which a detector alternates, from call to call or from session to session; or None.

    The values are cut in two where the squares within are smallest, and the halves are modes where what lies between
    them is many times what lies within (Ashman, Bird and Zepf, 1994).

    Example:
        >>> random = np.random.default_rng(0)
        >>> low, high = two_modes([random.normal(place, 0.1, 40) for place in (29, 44, 29, 44, 44, 29)])
        >>> round(low), round(high)
        (29, 44)
    """
    if len(sessions) < LEAST_SESSIONS:
        return None
    medians = np.array([np.median(one) for one in sessions])
    found = _cut(medians, BETWEEN)
    if found is None:
        calls = np.concatenate([one / middle for one, middle in zip(sessions, medians, strict=True)])
        within = _cut(calls, WITHIN)
        found = None if within is None else (within[0] * float(medians.mean()), within[1] * float(medians.mean()))
    return found


def _cut(values: Times, apart: float) -> tuple[float, float] | None:
    ordered = np.sort(values)
    n = len(ordered)
    ranks = np.arange(1, n)
    sums, squares = np.cumsum(ordered), np.cumsum(ordered**2)
    below = squares[:-1] - sums[:-1] ** 2 / ranks
    above = (squares[-1] - squares[:-1]) - (sums[-1] - sums[:-1]) ** 2 / (n - ranks)
    place = int(np.argmin(below + above)) + 1
    low, high = ordered[:place], ordered[place:]
    gap = float(high.mean() - low.mean())
    if min(len(low), len(high)) < LEAST_SHARE * n or gap < LEAST_GAP * low.mean():
        return None
    within = math.sqrt(2 * (float(low.var()) + float(high.var())))
    return (float(np.median(low)), float(np.median(high))) if 2 * gap > apart * within else None


MLPERF_CONFIDENCE = 0.99


def early_stopping(times: Times, p: float = 0.99) -> Figure:
    """MLPerf's estimate of a percentile: a time that, with 99 % confidence, a share p of all calls does not exceed.

    It is an order statistic above the percentile by what chance may do (loadgen, early_stopping.cc); null where there
    are too few calls for any.
    """
    from scipy.special import bdtr

    n = len(times)
    beyond = np.arange(n)
    allowed = np.flatnonzero(bdtr(beyond, n, 1 - p) <= 1 - MLPERF_CONFIDENCE)
    if not len(allowed):
        least = math.ceil(math.log(1 - MLPERF_CONFIDENCE) / math.log(p))
        return Figure.undefined("ms", f"needs at least {least} calls, there are {n}", n)
    return Figure(value=1000 * float(np.sort(times)[n - 1 - int(allowed[-1])]), unit="ms", n=n)
