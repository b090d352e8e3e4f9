"""A row measured again on this machine: what is put in its place, and what is refused."""

import json
import shutil
from pathlib import Path

import pytest
from made_up_results import edited

from wildbench.errors import WildbenchError
from wildbench.evaluation import evaluate
from wildbench.leaderboard._board import build_board
from wildbench.leaderboard._results import REPRODUCED, read_results
from wildbench.leaderboard.add import add, check
from wildbench.leaderboard.build import build
from wildbench.leaderboard.reproduce import reproduce
from wildbench.leaderboard.verify import verify
from wildbench.resources import bundled

SUBMISSION = "baselines/reference.pt"


@pytest.fixture(scope="module")
def card(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a bundled detector on a few images, as its submitter measured it."""
    path = tmp_path_factory.mktemp("submitted") / "tiny.json"
    evaluate(bundled(SUBMISSION), limit=8, device="cpu", audits=False, out=path)
    return path


@pytest.fixture
def claimed(card: Path, tmp_path: Path) -> Path:
    """A board with that row, which claims to be faster than it is."""
    forged = edited(card, tmp_path / "tiny.json")
    document = json.loads(forged.read_text())
    for name in ("p50", "mean"):
        document["latency"][name] |= {"value": 1e-3, "interval": None}
    document["latency"]["stages"] = {}
    audit = next(one for one in document["audits"] if one["name"] == "processor-time")
    for figure, value in (
        (audit["measured"], 1),
        (audit["evidence"]["wall"], 8e-6),
        (audit["evidence"]["processor"], 8e-6),
    ):
        figure["value"] = value
    forged.write_text(json.dumps(document))
    add(forged, tmp_path / "board")
    return tmp_path / "board"


def test_what_is_measured_here_takes_the_place_of_what_was_claimed(claimed: Path) -> None:
    (before,) = read_results(claimed)
    (row,) = build_board([before]).sections[0].rows
    assert (row.machine, row.standing, build_board([before]).sections[0].fronts) == (None, None, [])
    made = reproduce(before.card.submission.name, claimed, bundled(SUBMISSION), device="cpu")
    (after,) = read_results(claimed)
    assert after.id == before.id
    assert after.reproduction == made
    assert made.claimed_sha256 == before.card_sha256
    assert made.figures["accuracy.ap"].holds
    assert made.figures["latency.p50"].holds is False
    assert after.card.latency
    assert (after.card.latency.p50.value or 0) > 1
    (row,) = build(claimed).sections[0].rows
    assert row.standing
    assert (row.machine, row.standing.rank) == (made.machine, 1)
    assert verify(claimed) == []
    stored = claimed / "results" / after.id / REPRODUCED
    stored.write_text(stored.read_text().replace(made.card_sha256, "0" * 64))
    assert verify(claimed)[0].code == "scorecard/file-edited"


def test_another_file_and_another_figure_are_refused(card: Path, claimed: Path, tmp_path: Path) -> None:
    (row,) = read_results(claimed)
    with pytest.raises(WildbenchError) as error:
        reproduce("nobody", claimed, bundled(SUBMISSION))
    assert error.value.code == "scorecard/no-such-row"
    document = json.loads(card.read_text())
    compute = document["compute"]
    whole = (compute[name] for name in ("macs", "flops", "nonzero_macs", "bops"))
    for figure in (*whole, *compute["by_module"].values()):
        figure["value"] /= 2
    halved = tmp_path / "halved.json"
    halved.write_text(json.dumps(document))
    shutil.copy(card.with_name("tiny.predictions.json"), tmp_path)
    assert check(halved, tmp_path / "other") == []  # it fits together: only running it tells
    add(halved, tmp_path / "other")
    with pytest.raises(WildbenchError) as error:
        reproduce(row.id, tmp_path / "other", bundled(SUBMISSION), device="cpu")
    assert error.value.code == "scorecard/not-reproduced"
    assert "compute.macs" in str(error.value)
    assert read_results(tmp_path / "other")[0].reproduction is None
