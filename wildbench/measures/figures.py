"""Figures that boards, fronts and sweeps show, and how a package adds one of its own.

A `Measure` says how a figure is called, in which unit it is, and whether more of it is better. Whatever shows figures
iterates:

    for measure in all_measures():
        figure = measure.read(card)                        # None where the card has no such part
        if measure.limits:                                 # it can be the cost axis of a Pareto front
            place = measure.within(card)                   # compare figures of one place only; None compares with all

A package adds a measure by one class and one entry point, as docs/extending.md shows; its figure is then in every
scorecard under `measures`, and in every board, front and sweep.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from wildbench import plugins
from wildbench.errors import PluginError
from wildbench.scorecard import Figure, Scorecard

if TYPE_CHECKING:
    from wildbench.measures.matching import Scored  # loads a compiler
    from wildbench.submissions.admission import Admitted


@dataclass(frozen=True)
class Evidence:
    """What a measure may look at."""

    card: Scorecard
    """With everything that wildbench measures itself; `measures` is still empty."""
    scored: Scored
    submission: Admitted | None = None
    """What was evaluated; None where detections are scored without a model."""


class Measure:
    """One figure of a scorecard. Subclass it to add another."""

    key: str  # in the registry and under `measures`
    title: str  # what people call it, in few words
    unit: str  # of the stored value, as `Figure.unit` has it
    better: Literal["higher", "lower"]
    shown_unit: str = ""  # in which people read it: the value times `scale`, with `digits` decimals
    scale: float = 1.0
    digits: int = 2
    limits: tuple[float, float] | None = None  # of a front's log axis, where it can be a cost
    headline: bool = True  # whether tables of many records have a column of it

    def measure(self, evidence: Evidence) -> Figure | None:
        """Work the figure out; None where the record has it already."""
        return None

    def read(self, card: Scorecard) -> Figure | None:
        """The figure in a record; None where the record lacks it."""
        return card.measures.get(self.key)

    def within(self, card: Scorecard) -> str | None:
        """What two records must share for their figures to compare, such as the hardware; None where nothing."""
        return None

    def text(self, figure: Figure | None, missing: str = "-") -> str:
        """The figure as tables show it: of 7340032 bytes, 7.34."""
        return missing if figure is None or figure.value is None else f"{figure.value * self.scale:.{self.digits}f}"


class Stored(Measure):
    """A figure that wildbench itself writes, at a path in the record such as `size.file_bytes`."""

    def __init__(
        self,
        path: str,
        key: str,
        title: str,
        unit: str,
        better: Literal["higher", "lower"],
        shown_unit: str = "",
        scale: float = 1.0,
        digits: int = 2,
        limits: tuple[float, float] | None = None,
        headline: bool = False,
    ) -> None:
        self.path, self.key, self.title, self.unit, self.better = path, key, title, unit, better
        self.shown_unit, self.scale, self.digits, self.limits = shown_unit or unit, scale, digits, limits
        self.headline = headline

    def read(self, card: Scorecard) -> Figure | None:
        """What stands at the path; None where the record ends before."""
        part: object = card
        for name in self.path.split("."):
            part = getattr(part, name, None)
        return part if isinstance(part, Figure) else None

    def within(self, card: Scorecard) -> str | None:
        """The hardware for milliseconds, the reference network for its ratio."""
        if self.path == "latency.reference_ratio":
            return card.latency.reference if card.latency else None
        return hardware(card) if self.path.startswith("latency.") else None


class Filtered(Measure):
    """What a detector does as an empty filter that keeps 95 % of the images with an animal."""

    recall = "0.95"

    def __init__(self, key: str, title: str, unit: str, better: Literal["higher", "lower"], shown: str) -> None:
        self.key, self.title, self.unit, self.better, self.headline = key, title, unit, better, better == "lower"
        self.shown_unit, self.scale, self.digits = (shown, 1, 0) if unit == "per 1,000" else (shown, 100, 1)

    def read(self, card: Scorecard) -> Figure | None:
        """The figure at that recall; None in records made before there were any."""
        point = card.field and card.field.empty_filter.at_recall.get(self.recall)
        return getattr(point, self.key) if point else None


SKEWED = 1.1
"""Mean over median latency from which a detector is slow on some images: an early exit, say. Then the mean counts."""


class Typical(Stored):
    """A latency figure made of the median, and of the mean instead where the two differ by more than `SKEWED`."""

    def read(self, card: Scorecard) -> Figure | None:
        """The figure at the path; where the mean counts, in proportion to it."""
        figure, latency = super().read(card), card.latency
        if figure is None or figure.value is None or latency is None:
            return figure
        mean, median = latency.mean.value, latency.p50.value
        if not mean or not median or mean <= SKEWED * median:
            return figure
        share = mean / median
        ends = figure.interval and (figure.interval[0] * share, figure.interval[1] * share)
        caution = f"of the mean, {mean:.1f} ms: it is {share:.2f} times the median"
        return figure.model_copy(update={"value": figure.value * share, "interval": ends, "caution": caution})


def hardware(card: Scorecard) -> str | None:
    """Where a card's latency was measured; None where it has none."""
    latency = card.latency
    if latency is None or latency.device != "cpu":
        return latency.device if latency else None
    threads = latency.threads or "unknown number of"
    return f"{card.environment.cpu}, {threads} thread{'' if threads == 1 else 's'}"


AP = Stored("accuracy.ap", "ap", "AP", "AP", "higher", "%", 100, 1, headline=True)
AP50 = Stored("accuracy.ap50", "ap50", "AP50", "AP", "higher", "%", 100, 1, headline=True)
AP75 = Stored("accuracy.ap75", "ap75", "AP75", "AP", "higher", "%", 100, 1)
AP_SMALL = Stored("accuracy.ap_small", "ap_small", "AP small", "AP", "higher", "%", 100, 1)
AP_MEDIUM = Stored("accuracy.ap_medium", "ap_medium", "AP medium", "AP", "higher", "%", 100, 1)
AP_LARGE = Stored("accuracy.ap_large", "ap_large", "AP large", "AP", "higher", "%", 100, 1)
AR_1 = Stored("accuracy.ar_1", "ar_1", "AR 1", "AR", "higher", "%", 100, 1)
AR_10 = Stored("accuracy.ar_10", "ar_10", "AR 10", "AR", "higher", "%", 100, 1)
AR_100 = Stored("accuracy.ar_100", "ar_100", "AR 100", "AR", "higher", "%", 100, 1)
AR_SMALL = Stored("accuracy.ar_small", "ar_small", "AR small", "AR", "higher", "%", 100, 1)
AR_MEDIUM = Stored("accuracy.ar_medium", "ar_medium", "AR medium", "AR", "higher", "%", 100, 1)
AR_LARGE = Stored("accuracy.ar_large", "ar_large", "AR large", "AR", "higher", "%", 100, 1)
MEAN_IOU50 = Stored("accuracy.mean_iou50", "mean_iou50", "mean IoU", "IoU", "higher", digits=3)
FALSE_ALARMS = Filtered("false_alarms", "false alarms", "per 1,000", "lower", "per 1,000")
EMPTIES_REMOVED = Filtered("empties_removed", "empties removed", "1", "higher", "%")
COUNT_ERROR = Stored("field.counts.error", "count_error", "count error", "animals", "lower")
COUNT_EXACT = Stored("field.counts.exact", "count_exact", "counted right", "1", "higher", "%", 100, 1)
FILE_BYTES = Stored("size.file_bytes", "file_bytes", "file size", "B", "lower", "MB", 1e-6, 2, (1e4, 1e9), True)
DENSE_FP32_BYTES = Stored("size.dense_fp32_bytes", "dense_fp32_bytes", "dense fp32 size", "B", "lower", "MB", 1e-6)
PARAMETERS = Stored("size.parameters", "parameters", "parameters", "parameters", "lower", "M", 1e-6)
NONZERO = Stored("size.nonzero", "nonzero", "non-zero parameters", "parameters", "lower", "M", 1e-6)
BITMASK_BYTES = Stored("size.bitmask_bytes", "bitmask_bytes", "bitmask size", "B", "lower", "MB", 1e-6)
ENTROPY_BYTES = Stored("size.entropy_bytes", "entropy_bytes", "entropy", "B", "lower", "MB", 1e-6)
MACS = Stored("compute.macs", "macs", "MACs", "MAC", "lower", "GMAC", 1e-9, 3, (1e6, 1e12), True)
NONZERO_MACS = Stored("compute.nonzero_macs", "nonzero_macs", "non-zero MACs", "MAC", "lower", "GMAC", 1e-9, 3)
BOPS = Stored("compute.bops", "bops", "bit operations", "BOP", "lower", "GBOP", 1e-9, 1)
LATENCY_RATIO = Typical(
    "latency.reference_ratio", "latency_ratio", "latency ratio", "1", "lower", "x", limits=(1e-2, 1e3), headline=True
)
LATENCY = Typical("latency.p50", "latency", "latency", "ms", "lower", digits=1, limits=(1e-1, 1e4))
LATENCY_MEAN = Stored("latency.mean", "latency_mean", "mean latency", "ms", "lower", digits=1)
LATENCY_P50 = Stored("latency.p50", "latency_p50", "latency p50", "ms", "lower", digits=1)
LATENCY_P90 = Stored("latency.p90", "latency_p90", "latency p90", "ms", "lower", digits=1)
LATENCY_P99 = Stored("latency.p99", "latency_p99", "latency p99", "ms", "lower", digits=1)
PEAK_MEMORY = Stored("latency.peak_memory", "peak_memory", "peak memory", "B", "lower", "MB", 1e-6, 0)


def all_measures() -> list[Measure]:
    """Every registered measure in the order in which they are shown, wildbench's own first.

    Raises:
        PluginError: `collision`, or `wrong-key` where a measure is registered by another name than its own.
    """
    return [_measure(name) for name in plugins.measures.names()]


def figure_of(card: Scorecard, key: str) -> Figure | None:
    """One figure of a record by the key of its measure; None where the record lacks it.

    Raises:
        PluginError: `unknown`: no measure has that key.
    """
    return _measure(key).read(card)


def measure_added(evidence: Evidence) -> dict[str, Figure]:
    """What the measures of installed packages add to a record, by key."""
    return {one.key: figure for one in all_measures() if (figure := one.measure(evidence)) is not None}


def _measure(name: str) -> Measure:
    registered = plugins.measures.get(name)
    measure: Measure = registered() if isinstance(registered, type) else registered
    if measure.key != name:
        raise PluginError(
            f"measure {name!r} calls itself {measure.key!r}", code="wrong-key", remedy="register it by its own key"
        )
    return measure
