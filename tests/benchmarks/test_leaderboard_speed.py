"""How long a board of 500 rows takes to build, and a row to verify."""

import hashlib
import json
import lzma
import time
from pathlib import Path

import numpy as np
import pytest

from wildbench.datasets.registry import bundled, load_dataset
from wildbench.leaderboard.admission import add
from wildbench.leaderboard.board import build_board
from wildbench.leaderboard.chain import Entry, head, write_chain
from wildbench.leaderboard.ranking import Paired
from wildbench.leaderboard.results import chain_file, read_results, result_id
from wildbench.leaderboard.samples import Samples
from wildbench.leaderboard.verification import verify
from wildbench.measures.intervals import difference_interval
from wildbench.scorecard import Scorecard, read_scorecard

ROWS = 500


def write_board(folder: Path, rows: int) -> None:
    """Results with whole cards, thirteen categories and 2000 replicates each; AP and bytes are made up."""
    card = read_scorecard(bundled("baselines/scorecards/reference.json"))
    rng = np.random.default_rng(0)
    shared_drawn, shared_without = rng.normal(0, 0.02, 2000), rng.normal(0, 0.02, 168) / 168
    detections = lzma.compress(b"[]\n")
    entries: list[Entry] = []
    for row in range(rows):
        ap = float(rng.uniform(0.2, 0.6))
        name, sha256 = f"row {row}", hashlib.sha256(str(row).encode()).hexdigest()
        figure = card.accuracy.ap.model_copy(update={"value": ap, "interval": (ap - 0.04, ap + 0.04)})
        one: Scorecard = card.model_copy(
            update={
                "submission": card.submission.model_copy(update={"name": name, "sha256": sha256}),
                "accuracy": card.accuracy.model_copy(update={"ap": figure}),
            }
        )
        drawn = ap + shared_drawn + rng.normal(0, 0.01, 2000)
        without = ap + shared_without + rng.normal(0, 0.01, 168) / 168
        stored, samples = one.to_json().encode(), Samples(np.array([ap]), drawn, without).to_bytes()
        place = folder / "results" / result_id(one)
        place.mkdir(parents=True)
        for file, data in (("card.json", stored), ("samples.npy", samples), ("predictions.json.xz", detections)):
            (place / file).write_bytes(data)
        hashes = {
            "card_sha256": hashlib.sha256(stored).hexdigest(),
            "samples_sha256": hashlib.sha256(samples).hexdigest(),
        }
        predictions = one.accuracy.predictions_sha256
        entries.append(Entry(id=place.name, predictions_sha256=predictions, previous=head(entries), **hashes))
    write_chain(chain_file(folder), entries)


def seconds(work: object) -> float:
    start = time.perf_counter()
    work()  # type: ignore[operator]
    return time.perf_counter() - start


def test_five_hundred_rows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Ranking all pairs takes less than a tenth of what they take one by one."""
    write_board(tmp_path, ROWS)
    reading = min(seconds(lambda: read_results(tmp_path)) for _ in range(3))
    results, entries = read_results(tmp_path)
    building = min(seconds(lambda: build_board(results, entries).to_json()) for _ in range(3))
    samples = [result.samples for result in results]
    ranking = min(seconds(lambda: Paired(samples).ranks()) for _ in range(3))
    first, pairs = samples[0], samples[1:201]

    def one_by_one() -> None:
        for other in pairs:
            difference = float(other.whole[0] - first.whole[0])
            difference_interval(difference, other.drawn - first.drawn, other.without - first.without)

    alone = min(seconds(one_by_one) for _ in range(3)) / len(pairs) * ROWS * (ROWS - 1) / 2
    size = len(json.dumps(build_board(results, entries).model_dump(mode="json")))
    with capsys.disabled():
        print(  # noqa: T201
            f"\n{ROWS} rows: read {reading:.2f} s, build {building:.2f} s, of it ranking {ranking:.2f} s "
            f"(pair by pair {alone:.1f} s); leaderboard.json {size / 1e6:.1f} MB"
        )
    assert ranking < alone / 10


def test_a_row_verifies(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A row of 16,800 detections in less than ten times what reading it takes."""
    add(bundled("baselines/scorecards/reference.json"), tmp_path)  # compiles
    submissions = bundled("baselines")
    verifying = min(seconds(lambda: verify(tmp_path, submissions=submissions)) for _ in range(3))
    (result,), _ = read_results(tmp_path)
    data = load_dataset("parksim", with_images=False)
    reading = min(seconds(lambda: result.detections(data)) for _ in range(3))
    with capsys.disabled():
        print(f"\na row: verified in {verifying:.2f} s, of it reading {reading:.2f} s")  # noqa: T201
    assert verifying < 10 * reading
