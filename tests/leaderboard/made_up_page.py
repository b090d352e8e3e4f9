"""A leaderboard to look at: the bundled baselines, and rows made up from them."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from made_up_cards import make_field

from wildbench.leaderboard._results import Result, read_results, result_id
from wildbench.scorecard import Figure, LatencySession, Scorecard, Sustained, SustainedMinute

BASELINES = ("reference", "reference-tiny")
ROWS = 60
ELSEWHERE = 20
"""Of them, the last, whose times are another processor's."""

SCRIPT = '</script><img src=x onerror="window.pwned=1"><!--\u2028'


def made_up(base: Result, number: int, **changes: Any) -> Result:
    """Another row of the same detections: another name, AP, bytes and time; a third of them on another processor."""
    card = base.card
    ap, cost = 0.2 + 0.005 * number, 1.5 + number
    assert card.size
    assert card.compute
    assert card.latency
    figure = Figure(value=ap, unit="AP", n=327, interval=(ap - 0.03, ap + 0.03))
    submission = {
        "name": f"made up {number:02d}",
        "sha256": f"{number:064x}",
        "parent": None,
        "format": "onnx",
    } | changes
    time, ratio = card.latency.p50, card.latency.reference_ratio
    latency: dict[str, Any] = {
        "sessions": None,
        "sustained": None,
        "p50": Figure(value=10.0 + cost, unit="ms", n=time.n, interval=(9.0 + cost, 12.0 + cost)),
        "reference_ratio": Figure(
            value=1 + cost / 10, unit="1", n=ratio.n, interval=(0.9 + cost / 10, 1.2 + cost / 10)
        ),
    }
    processor = {"cpu": "another processor"} if number >= ROWS - ELSEWHERE else {}
    card = card.model_copy(
        update={
            "environment": card.environment.model_copy(update=processor),
            "latency": card.latency.model_copy(update=latency),
            "submission": card.submission.model_copy(update=submission),
            "accuracy": card.accuracy.model_copy(update={"ap": figure}),
            "size": card.size.model_copy(
                update={"file_bytes": Figure(value=cost * 1e5, unit="B", n=1), "by_layer": None}
            ),
            "compute": card.compute.model_copy(update={"macs": Figure(value=cost * 1e7, unit="MAC", n=4)}),
        }
    )
    drawn, without = (ap - 0.4636 + values for values in (base.samples.drawn, base.samples.without))
    samples = replace(base.samples, whole=base.samples.whole * 0 + ap, drawn=drawn, without=without)
    return replace(base, id=result_id(card), card=card, samples=samples)


def timed(card: Scorecard) -> Scorecard:
    """The same, as if it had been timed in six processes, one of them disturbed, and then for three minutes."""
    assert card.latency
    sessions = [
        LatencySession(p50=20.0 + n / 10, p90=21.0 + n / 10, n=60, ratio=5.0, kept=9, discarded={}, used=n < 5)
        for n in range(6)
    ]
    long = Sustained(
        minutes=[SustainedMinute(p50=20.0 + n, p90=21.0 + n, n=100) for n in range(3)],
        degradation=Figure(value=1.1, unit="1", n=100),
    )
    p50 = Figure(value=20.2, unit="ms", n=300, interval=(20.0, 20.4))
    update = {"p50": p50, "sessions": sessions, "sustained": long}
    return card.model_copy(update={"latency": card.latency.model_copy(update=update)})


def elsewhere(base: Result) -> Result:
    """The same on another data set, whose images are nobody's to give away, without a model."""
    dataset = base.card.dataset.model_copy(update={"name": "somewhere", "split": None, "sha256": "e" * 64})
    changes = {"dataset": dataset, "size": None, "compute": None, "latency": None}
    card = base.card.model_copy(update=changes)
    return replace(base, id=result_id(card), card=card, predictions=Path("none"))


def results_of_page(board: Path) -> Sequence[Result]:
    """The baselines, 60 made-up rows, one with a script for a name, and one on another data set."""
    results = [
        replace(one, card=timed(one.card.model_copy(update={"field": make_field(alarms=60.0 + 80 * place)})))
        for place, one in enumerate(read_results(board))
    ]
    dense = results[0]
    rows = [made_up(dense, number) for number in range(ROWS)]
    scripted = made_up(dense, 41, name=SCRIPT, method=SCRIPT, authors=[SCRIPT], sha256="f" * 64)
    return [*results, *rows, scripted, elsewhere(dense)]
