"""How long a board of 500 rows takes to build, and a row to verify."""

import hashlib
import lzma
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from wildbench.datasets.predictions import read_predictions
from wildbench.datasets.registry import load_dataset
from wildbench.leaderboard._board import build_board
from wildbench.leaderboard._recompute import measure_curves
from wildbench.leaderboard._results import (
    CARD,
    CURVES,
    PREDICTIONS,
    SAMPLES,
    SUMS,
    Samples,
    read_results,
    result_id,
    sums_of,
)
from wildbench.leaderboard._standings import Paired
from wildbench.leaderboard.add import add
from wildbench.leaderboard.build import BOARD, PAGE, build
from wildbench.leaderboard.verify import verify
from wildbench.measures.matching import Scored
from wildbench.measures.uncertainty import difference_interval
from wildbench.resources import bundled
from wildbench.scorecard import Scorecard, read_scorecard

pytestmark = pytest.mark.timed

ROWS = 500


def write_board(folder: Path, rows: int) -> None:
    """Results with whole cards, thirteen categories, 2000 replicates, curves and detections each, of two real ones.

    The first of every ten rows is the dense parent of the others; AP is made up.
    """
    sources = [bundled(f"baselines/scorecards/{name}.json") for name in ("reference", "reference-tiny")]
    data, cards = load_dataset("parksim", with_images=False), [read_scorecard(source) for source in sources]
    found = [source.with_name(card.accuracy.predictions_file) for source, card in zip(sources, cards, strict=True)]
    detections = [lzma.compress(path.read_bytes(), preset=0) for path in found]
    curves = [measure_curves(Scored(data, read_predictions(path, data))).to_bytes() for path in found]
    rng = np.random.default_rng(0)
    shared_drawn, shared_without = rng.normal(0, 0.02, 2000), rng.normal(0, 0.02, 168) / 168
    for row in range(rows):
        kind = int(row % 10 > 0)
        ap, card = float(rng.uniform(0.2, 0.6)), cards[kind]
        name, sha256 = f"row {row}", hashlib.sha256(str(row).encode()).hexdigest()
        parent = hashlib.sha256(str(row - row % 10).encode()).hexdigest() if kind else None
        figure = card.accuracy.ap.model_copy(update={"value": ap, "interval": (ap - 0.04, ap + 0.04)})
        submission = card.submission.model_copy(update={"name": name, "sha256": sha256, "parent": parent})
        accuracy = card.accuracy.model_copy(update={"ap": figure})
        one: Scorecard = card.model_copy(update={"submission": submission, "accuracy": accuracy})
        drawn = ap + shared_drawn + rng.normal(0, 0.01, 2000)
        without = ap + shared_without + rng.normal(0, 0.01, 168) / 168
        samples = Samples(np.array([ap]), drawn, without).to_bytes()
        files = {CARD: one.to_json().encode(), PREDICTIONS: detections[kind], SAMPLES: samples, CURVES: curves[kind]}
        place = folder / "results" / result_id(one)
        place.mkdir(parents=True)
        for file, stored in (files | {SUMS: sums_of(files)}).items():
            (place / file).write_bytes(stored)


def seconds(work: object) -> float:
    """Of one core: others may be at work on this machine."""
    start = time.process_time()
    work()  # type: ignore[operator]
    return time.process_time() - start


def seconds_of_command(folder: Path) -> float:
    """Of one core, all of it: from the start of the process to the table it prints."""
    start = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [str(Path(sys.executable).with_name("wildbench")), "leaderboard", "build", "--board", str(folder)]
    subprocess.run(command, check=True, capture_output=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
    end = resource.getrusage(resource.RUSAGE_CHILDREN)
    return end.ru_utime + end.ru_stime - start.ru_utime - start.ru_stime


def test_five_hundred_rows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Ranking all pairs takes less than a tenth of what they take one by one, and building not ten times reading."""
    write_board(tmp_path, ROWS)
    build(tmp_path)  # renders parksim and bundles the charts' library, where they are not there yet
    whole = min(seconds_of_command(tmp_path) for _ in range(3))
    reading = min(seconds(lambda: read_results(tmp_path)) for _ in range(3))
    results = read_results(tmp_path)
    building = min(seconds(lambda: build_board(results).to_json()) for _ in range(3))
    samples = [result.samples for result in results]
    ranking = min(seconds(lambda: Paired(samples).ranks()) for _ in range(3))
    first, pairs = samples[0], samples[1:201]

    def one_by_one() -> None:
        for other in pairs:
            difference = float(other.whole[0] - first.whole[0])
            difference_interval(difference, other.drawn - first.drawn, other.without - first.without)

    alone = min(seconds(one_by_one) for _ in range(3)) / len(pairs) * ROWS * (ROWS - 1) / 2
    size, page = ((tmp_path / name).stat().st_size for name in (BOARD, PAGE))
    with capsys.disabled():
        print(  # noqa: T201
            f"\n{ROWS} rows: `leaderboard build` takes {whole:.2f} s of one core (reading the results {reading:.2f} s, "
            f"leaderboard.json {building:.2f} s, of it ranking {ranking:.2f} s; pair by pair {alone:.1f} s); "
            f"{size / 1e6:.1f} MB and {page / 1e6:.1f} MB"
        )
    assert ranking < alone / 10
    assert whole < 10 * reading


def test_a_row_verifies(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A row of 16,800 detections, and the page, in less than twenty times what reading it takes."""
    add(bundled("baselines/scorecards/reference.json"), tmp_path)  # compiles
    submissions = bundled("baselines")
    verifying = min(seconds(lambda: verify(tmp_path, submissions=submissions)) for _ in range(3))
    (result,) = read_results(tmp_path)
    data = load_dataset("parksim", with_images=False)
    reading = min(seconds(lambda: result.detections(data)) for _ in range(3))
    with capsys.disabled():
        print(f"\na row: verified in {verifying:.2f} s, of it reading {reading:.2f} s")  # noqa: T201
    assert verifying < 20 * reading
