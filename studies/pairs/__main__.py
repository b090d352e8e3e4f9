"""`python -m studies.pairs`: how often 95 % intervals hold what a child changes for its parent's users, and agreement.

The images and both detectors are those of `studies.field`; what agrees is drawn here.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from scipy.special import expit, ndtr, ndtri

from studies import as_app, run
from studies.field.__main__ import table_of
from studies.field.simulation import ANIMAL, EMPTY, OTHER, SCENARIOS, STATED, Sample, Scenario, draw
from wildbench.cli.tables import print_tables
from wildbench.files import check_writable, write_atomically
from wildbench.measures.field._paired import KEPT, MATCHED, QUIET, _chosen_interval, _Pair, _times
from wildbench.measures.uncertainty import Interval, difference_interval, interval
from wildbench.pairs.agreement import _Drawn
from wildbench.progress import shown

SETS, REPLICATES, QUICK = 1000, 300, 100
"""Simulated data sets of a scenario, drawn sets of each, and data sets of a quick run, of the first scenario alone."""

AGREEING, SHIFT = 0.85, -0.04
"""Share of a parent's detections that its child has too, and the mean change of their scores."""

Figure = tuple[str, Interval | None]


def truths() -> dict[str, float]:
    """What the whole population says, by figure."""
    like, quiet = OTHER[0] - ANIMAL, OTHER[1] - EMPTY  # latent thresholds of the child
    recall, alarms = ndtr(ANIMAL), ndtr(EMPTY)
    return {
        "times the false alarms": ndtr(OTHER[1]) / alarms,
        "threshold for as many animals": expit(like),
        "false alarms there, difference": ndtr(OTHER[1] - like) - alarms,
        "threshold for as few false alarms": expit(quiet),
        "recall there, difference": ndtr(OTHER[0] - quiet) - recall,
        "agreement": AGREEING,
        "score shift": SHIFT,
    }


def transfer(sample: Sample, replicates: int) -> Iterator[Figure]:
    """Intervals of what changes with the threshold."""
    nothing = np.zeros(0)
    pair = _Pair(
        screens=sample.screens,
        finding=(nothing, nothing),
        image=nothing.astype(np.int64),
        sizes={},
        masks={},
        threshold=STATED,
        kind="locations",
        groups=sample.group,
        blocks=sample.group,
    )
    drawn = pair.drawn(replicates)
    yield "times the false alarms", _times(drawn["false_alarms", KEPT], sample.screens[0].empty)[1]
    matched, quiet = pair.filtering(drawn, MATCHED), pair.filtering(drawn, QUIET)
    yield "threshold for as many animals", _chosen_interval(drawn["threshold", MATCHED])
    yield "false alarms there, difference", matched.false_alarms.interval
    yield "threshold for as few false alarms", _chosen_interval(drawn["threshold", QUIET])
    yield "recall there, difference", quiet.recall.interval


def agreement(sample: Sample, rng: np.random.Generator) -> Iterator[Figure]:
    """Intervals of agreement and of the shift of scores; images of a location are alike."""
    images = np.repeat(np.arange(len(sample.group)), 1 + rng.poisson(1.0, len(sample.group)))
    place = rng.normal(size=(2, sample.group.max() + 1))[:, sample.group[images]]
    latent, noise = np.sqrt(0.15) * place + np.sqrt(0.85) * rng.normal(size=place.shape)
    matched = latent < ndtri(AGREEING)
    shifts = SHIFT + 0.1 * noise[matched]
    drawn = _Drawn("locations", sample.group)
    both, taken = drawn.sums(images), drawn.sums(images[matched])
    yield "agreement", drawn.ratio(2 * taken, 2 * both, "1", interval, "").interval
    yield "score shift", drawn.ratio(drawn.sums(images[matched], shifts), taken, "1", difference_interval, "").interval


def audit(scenario: Scenario, sets: int, replicates: int, seed: int) -> list[dict[str, str | float | int]]:
    """Draw data sets, make intervals, and count those that hold the truth; a row for each figure."""
    ends: dict[str, list[Interval | None]] = defaultdict(list)
    for number in range(sets):
        rng = np.random.default_rng([seed, number])
        sample = draw(scenario, rng)
        for name, one in (*transfer(sample, replicates), *agreement(sample, rng)):
            ends[name].append(one)
    rows: list[dict[str, str | float | int]] = []
    for name, truth in truths().items():
        low, high = np.array([one for one in ends[name] if one]).reshape(-1, 2).T
        rows.append(
            {
                "scenario": scenario.name,
                "figure": name,
                "truth": round(float(truth), 5),
                "intervals": len(low),
                "without": sets - len(low),
                "held": round(float(((low <= truth) & (truth <= high)).mean()), 5) if len(low) else 0.0,
                "width": round(float((high - low).mean()), 5) if len(low) else 0.0,
            }
        )
    return rows


def main(
    sets: Annotated[int, typer.Option(min=1, help="Simulated data sets per scenario.")] = SETS,
    replicates: Annotated[int, typer.Option(min=2, help="Drawn sets per data set.")] = REPLICATES,
    seed: Annotated[int, typer.Option(min=0, help="Of the simulated data sets.")] = 0,
    out: Annotated[Path | None, typer.Option(help="JSON to write, with the numbers of the table and more.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help=f"{QUICK} data sets of the first scenario.")] = False,
) -> None:
    """Count how often 95 % intervals of a pair of detectors hold the truth of the population."""
    if out is not None:
        check_writable(out)
    rows = []
    with shown() as progress:
        wanted = SCENARIOS[:1] if quick else SCENARIOS
        for done, scenario in enumerate(wanted):
            progress("pairs", done, len(wanted))
            rows += audit(scenario, QUICK if quick else sets, replicates, seed)
        progress("pairs", len(wanted), len(wanted))
    print_tables(table_of(rows))
    if out is not None:
        write_atomically(out, ("[\n" + ",\n".join(map(json.dumps, rows)) + "\n]\n").encode())


app = as_app(main)

if __name__ == "__main__":
    run(app)
