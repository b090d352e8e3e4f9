"""Whether the figures of a record fit together: sums, orders and counts that hold in each that wildbench writes.

They are asked of cards from elsewhere, and never refuse a measurement while it is made.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from statistics import fmean, geometric_mean, stdev

from wildbench.scorecard._audit_consistency import audit_contradictions
from wildbench.scorecard._card import Scorecard
from wildbench.scorecard._cost import Compute, Latency, LatencySession, Size
from wildbench.scorecard._figure import Figure

TOLERANCE = 1e-11
"""Relative: of sums of floats in another order."""

LEAST_RUNS = {"p50": 6, "p90": 36, "p99": 368, "mean": 30}
"""Samples before which a figure of latency has no interval."""

TOLD, MAY_BE_TOLD = {"execution", "latency.device", "latency.stages"}, {"compute", "latency.peak_memory"}
"""Paths of what a detector's process tells of itself: always, and of code and on CUDA."""

PERCENTILES = ("p50", "p90", "p99")

ROUND, LEAST_BLOCKS = 3, 10
"""Images of a round of warm-up; runs of the reference network from which the ratio has an interval."""

RUNTIMES = {"torch": "torch", "ONNX Runtime": "onnxruntime", "OpenVINO": "openvino", "LiteRT": "ai-edge-litert"}
"""Packages by the name under which a runtime tells its version."""

_BITS = re.compile(r"(\d{1,2})x(\d{1,2})")

Problem = tuple[str, str]
"""A place in the record, and what is wrong there."""


def contradictions(card: Scorecard) -> Iterator[Problem]:
    """Where a record contradicts itself.

    Example:
        >>> from wildbench.resources import bundled
        >>> from wildbench.scorecard import read_scorecard
        >>> list(contradictions(read_scorecard(bundled("baselines/scorecards/reference.json"))))
        []
    """
    if card.submission.format != "coco-results" and None in (card.size, card.compute, card.latency):
        yield "size, compute, latency", "one is missing, and only COCO results come without"
    if card.size:
        yield from _size(card.size)
    if card.compute:
        yield from _compute(card.compute)
        yield from _most(card.dataset.images, "compute.macs", card.compute.macs)
    if card.latency:
        yield from _latency(card.latency)
        if card.latency.sessions is None:
            yield from _most(card.dataset.images, "latency.p50", card.latency.p50)
        if card.execution and card.execution.device != card.latency.device:
            yield "execution.device", "is not that of latency"
    if card.latency and not TOLD <= set(card.told) <= TOLD | MAY_BE_TOLD:
        yield "told", f"is not {', '.join(sorted(TOLD))}, and what else its process told"
    yield from _environment(card)
    yield from audit_contradictions(card)


def _most(images: int, place: str, figure: Figure) -> Iterator[Problem]:
    if (figure.n or 0) > images:
        yield f"{place}.n", f"is {figure.n}, of {images} images"


def _size(size: Size) -> Iterator[Problem]:
    whole, parameters = size.file_bytes.value, size.parameters.value
    if not whole or size.file_bytes.n != 1:
        yield "size.file_bytes", "is not that of one file"
    if not _adds_up((part.value for part in size.by_part.values()), whole):
        yield "size.by_part", "does not sum to file_bytes"
    if size.by_layer is not None and not _adds_up((layer.bytes for layer in size.by_layer), whole):
        yield "size.by_layer", "does not sum to file_bytes"
    if parameters is not None and size.dense_fp32_bytes.value != 4 * parameters:
        yield "size.dense_fp32_bytes", "is not 4 bytes a parameter"
    if parameters is not None and (size.nonzero.value or 0) > parameters:
        yield "size.nonzero", "is more than there are parameters"
    yield from _alike("size", {name: getattr(size, name) for name in ("nonzero", "parameters", "dense_fp32_bytes")})
    yield from _bare("size", {name: figure for name, figure in size if isinstance(figure, Figure)} | size.by_part)


def _compute(compute: Compute) -> Iterator[Problem]:
    macs, modules = compute.macs.value, compute.by_module
    parts = {f"by_module.{name}": figure for name, figure in modules.items()}
    whole = {name: getattr(compute, name) for name in ("macs", "flops", "nonzero_macs", "bops")}
    yield from _alike("compute", whole | parts)
    stages = {"proposals": compute.proposals, "macs_per_proposal": compute.macs_per_proposal}
    yield from _bare("compute", whole | parts | stages, cautious={"bops"})
    if macs is None:
        if any(figure.value is not None for figure in (whole | parts | stages).values()):
            yield "compute.macs", "is null, and figures made of it are not"
        return
    if not _adds_up((figure.value for figure in modules.values()), macs):
        yield "compute.by_module", "does not sum to macs"
    if not _close(compute.flops.value, 2 * macs):
        yield "compute.flops", "is not 2 x macs"
    if not all(compute.uncounted.values()):
        yield "compute.uncounted", "has an operator that never runs"
    if (compute.nonzero_macs.value or 0) > macs * (1 + TOLERANCE):
        yield "compute.nonzero_macs", "is more than macs"
    if (compute.proposals.value or 0) * (compute.macs_per_proposal.value or 0) > macs * (1 + TOLERANCE):
        yield "compute.macs_per_proposal", "makes more than macs"
    yield from _operands(compute, macs)


def _operands(compute: Compute, macs: float) -> Iterator[Problem]:
    bits = compute.operand_bits
    if (bits is None) != (compute.bops.value is None) and macs:
        yield "compute.operand_bits", "is null where bops is not, or the other way round"
    elif bits is not None and macs:
        pairs = {_BITS.fullmatch(pair): share for pair, share in bits.items()}
        if None in pairs or not _adds_up(bits.values(), 1.0):
            yield "compute.operand_bits", "are not shares of all MACs by two numbers of bits"
        elif not _close(
            compute.bops.value, macs * sum(int(pair[1]) * int(pair[2]) * share for pair, share in pairs.items() if pair)
        ):
            yield "compute.bops", "is not what macs and operand_bits give"


def _latency(latency: Latency) -> Iterator[Problem]:
    tail = [latency.p50.value, latency.p90.value, latency.p99.value]
    known = [value for value in tail if value is not None]
    if known != sorted(known) or 0 in known or (not latency.mean.value and not latency.sessions):
        yield "latency", "p50, p90 and p99 do not rise from above 0"
    times = {name: getattr(latency, name) for name in (*PERCENTILES, "mean")}
    stages = {f"stages.{name}": figure for name, figure in latency.stages.items()}
    yield from _alike("latency", times)
    for name, figure in (times | stages).items():
        n = figure.n or 0
        if n > (latency.p50.n or 0) or (figure.value is not None and not n):
            yield f"latency.{name}.n", "is missing, or more than that of p50"
        if figure.interval is not None and n < LEAST_RUNS.get(name, LEAST_RUNS["p50"]):
            yield f"latency.{name}.interval", f"is there for too few images: {n}"
    for name, figure in {**times, **stages, "reference_ratio": latency.reference_ratio}.items():
        if figure.caution is not None:
            yield f"latency.{name}.caution", "is none that wildbench writes"
    yield from _spread(latency)
    yield from _sessions(latency, latency.sessions or ())
    if latency.reference_ratio.value == 0:
        yield "latency.reference_ratio", "is 0"
    if latency.reference_ratio.value is not None and not latency.reference_ratio.n:
        yield "latency.reference_ratio", "has no n: how often the reference ran"
    if latency.p50.value and any((one.value or 0) > 1.01 * latency.p50.value for one in latency.stages.values()):
        yield "latency.stages", "take longer than the whole"
    yield from _bare("latency", {"peak_memory": latency.peak_memory})


def _sessions(latency: Latency, sessions: Sequence[LatencySession]) -> Iterator[Problem]:
    """What is made of sessions fits them."""
    if not sessions:
        return
    used = [one for one in sessions if one.used]
    if latency.p50.n != sum(one.n for one in used):
        yield "latency.p50.n", "is not the number of calls of the sessions"
    if any((one.p50 or 0) > (one.p90 or 0) for one in sessions):
        yield "latency.sessions", "p50 and p90 of one do not rise"
    yield from _means(latency, used)


def _means(latency: Latency, used: Sequence[LatencySession]) -> Iterator[Problem]:
    """What is the mean or the spread of sessions is that of the sessions given."""
    means = {"p50": latency.p50, "ratio": latency.reference_ratio, "cold_start": latency.cold_start}
    for name, figure in means.items():
        values = [value for one in used if (value := getattr(one, name))]
        if figure and figure.value:
            mean = geometric_mean(values) if values else 0.0
            if not math.isclose(figure.value, mean, rel_tol=1e-5):  # the median of logarithms is a little off
                yield f"latency.{name}", "is not the geometric mean of the sessions"
    medians = [one.p50 for one in used if one.p50]
    spread = latency.spread.value if latency.spread else None
    if spread is not None and not _close(spread, stdev(medians) / fmean(medians)):
        yield "latency.spread", "is not the spread of the sessions"
    for name in ("cold_start", "spread"):
        if (one := getattr(latency, name)) and one.value is not None and one.n != len(used):
            yield f"latency.{name}.n", "is not the number of the sessions that count"


def _spread(latency: Latency) -> Iterator[Problem]:
    """Of times that were sorted once, intervals rise with their percentiles, and the mean lies in the middle of its."""
    ranges = [one.interval for name in PERCENTILES if (one := getattr(latency, name)).interval]
    if not latency.sessions and any(sorted(sides) != list(sides) for sides in zip(*ranges, strict=True)):
        yield "latency", "intervals of p50, p90 and p99 do not rise"
    mean, ratio = latency.mean, latency.reference_ratio
    if mean.interval and not latency.sessions and not _close(sum(mean.interval) / 2, mean.value or 0):
        yield "latency.mean", "is not in the middle of its interval"
    tail = [getattr(latency, name).value for name in PERCENTILES]
    shares = zip((0.5, 0.1, 0.01), tail, [0.0, *tail], strict=False)
    least = sum(share * max(0, (value or 0) - (before or 0)) for share, value, before in shares)
    if not latency.sessions and (mean.value or 0) < least * (1 - TOLERANCE):
        yield "latency.mean", "is less than its percentiles make it"
    too_few = ratio.interval is not None and not latency.sessions and (ratio.n or 0) < LEAST_BLOCKS
    if (ratio.n or 0) > (latency.p50.n or 0) or too_few:
        yield "latency.reference_ratio", "has an interval for too few runs, or more runs than images"
    if latency.warmup_runs % ROUND or (latency.p50.value is not None and latency.warmup_runs < 2 * ROUND):
        yield "latency.warmup_runs", "is not that of whole rounds"
    if (latency.device == "cpu") != bool(latency.threads):
        yield "latency.threads", "is known on a processor, and only there"
    if not latency.reference or (latency.peak_memory.value is not None and latency.peak_memory.n != 1):
        yield "latency", "reference is empty, or peak_memory is not that of one process"
    if latency.peak_memory.value == 0:
        yield "latency.peak_memory", "is 0"


def _environment(card: Scorecard) -> Iterator[Problem]:
    """What ran it is what was installed, and what stood is what was tried."""
    here, execution, walls = card.environment, card.execution, card.environment.isolation
    stated = {name: getattr(here, name) for name in ("wildbench", "python", "platform", "cpu")}
    for name, text in {**stated, **{f"packages.{name}": text for name, text in here.packages.items()}}.items():
        if not text:
            yield f"environment.{name}", "is empty"
    if not here.cpu_count:
        yield "environment.cpu_count", "is 0"
    library, _, version = card.protocol.engine.partition(" ")
    if here.packages.get(library, version) != version:
        yield "protocol.engine", f"is {version}, and {here.packages[library]} is installed"
    runtime, _, version = ((execution.runtime if execution else None) or "").rpartition(" ")
    installed = here.packages.get(RUNTIMES.get(runtime, ""), version)
    if execution and (execution.runtime == "" or not version.startswith(installed.partition("+")[0])):
        yield "execution.runtime", f"is {version}, and {installed} is installed"
    if walls and sorted(walls.not_enforced) != sorted(name for name, stopped in walls.probes.items() if not stopped):
        yield "environment.isolation.not_enforced", "is not what its probes say"
    if walls and card.protocol.trusted:
        yield "protocol.trusted", "is of records made before the jail"


def _alike(place: str, figures: dict[str, Figure]) -> Iterator[Problem]:
    counts = {figure.n for figure in figures.values() if figure.value is not None}
    if len(counts) > 1:
        yield f"{place}.*.n", f"differ: {', '.join(str(count) for count in list(counts)[:4])}"


def _bare(place: str, figures: dict[str, Figure], cautious: Iterable[str] = ()) -> Iterator[Problem]:
    """Counts have no interval, and most no caution."""
    for name, figure in figures.items():
        if figure.interval is not None or (figure.caution is not None and name not in cautious):
            yield f"{place}.{name}", "is a count: it has no interval and no caution"


def _adds_up(parts: Iterable[float | None], whole: float | None) -> bool:
    return whole is None or _close(math.fsum(part or 0 for part in parts), whole)


def _close(one: float | None, other: float) -> bool:
    return one is None or abs(one - other) <= TOLERANCE * max(1.0, abs(other))
