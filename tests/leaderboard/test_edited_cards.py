"""What of an honest card can be edited without `leaderboard check` seeing it: only a reproduction shows that."""

import copy
import json
from collections.abc import Callable, Iterator
from fnmatch import fnmatch
from typing import Any

import pytest
from pydantic import ValidationError

from wildbench.leaderboard import _recompute, _results
from wildbench.measures.audits import audit_exact
from wildbench.resources import bundled
from wildbench.scorecard import Scorecard, read_scorecard

CARD = "baselines/scorecards/reference-tiny.json"

PARTS = ("compute", "latency", "execution", "environment", "protocol", "audits", "told")
"""The rest is measured again from the detections and the file, to the last figure."""

UNSEEN = (
    "compute.uncounted.*", "compute.nonzero_macs.value", "compute.bops.value", "compute.bops.caution",
    "compute.proposals.*", "compute.macs_per_proposal.*",
    "latency.p?0.value", "latency.p99.value", "latency.p?0.interval.*", "latency.p99.interval.*",
    "latency.reference", "latency.reference_ratio.*", "latency.peak_memory.value", "latency.stages.*",
    "latency.warmup_runs", "latency.mean.*", "latency.early_stopping.*", "latency.cold_start.interval.*",
    "latency.stopped",
    "latency.budget", "latency.energy.*", "latency.throughput.*", "latency.*.caution",
    "latency.sessions.*.p90",
    "latency.sessions.*.kept", "latency.sessions.*.clock", "latency.sessions.*.temperature",
    "execution.*", "environment.*",
    "audits.*.explanation", "audits.*.passed", "audits.*.seed", "audits.*.evidence.time.*",
    "audits.*.evidence.identical.value",
    "audits.*.evidence.wall.value", "audits.*.evidence.ap_*", "audits.*.evidence.pooled_ap_*.n",
    "audits.*.measured.value", "audits.*.measured.n",
)  # fmt: skip
"""As docs/leaderboard.md states it."""


def leaves(part: Any, path: tuple[Any, ...]) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Every value of a record, with where it stands; of the modules the first three."""
    if isinstance(part, dict | list) and part:
        pairs = list(part.items() if isinstance(part, dict) else enumerate(part))
        for key, value in pairs[:3] if path[-1] == "by_module" else pairs:
            yield from leaves(value, (*path, key))
    else:
        yield path, part


def edits(value: Any) -> list[Any]:
    if isinstance(value, bool):
        return [not value, None]
    if isinstance(value, int | float):
        return [2 * value if value else 7, value + 1, 0 if value else 3, -value - 1, None]
    return [f"{value}x", "", None] if isinstance(value, str) else [1, "x"] if value is None else [["x"]]


def edited(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for part in PARTS:
        for path, value in leaves(document[part], (part,)):
            for other in edits(value):
                changed = copy.deepcopy(document)
                place = changed
                for key in path[:-1]:
                    place = place[key]
                place[path[-1]] = other
                if other != value:
                    yield ".".join(map(str, path)), changed


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Callable[[dict[str, Any]], bool]:
    """Whether the check of a card with these detections finds something."""
    path = bundled(CARD)
    honest = read_scorecard(path)
    data = _recompute.DataSets().of(honest)
    detections = _results.read_detections(path.with_name(honest.accuracy.predictions_file), honest, data)
    scored = _recompute.scored_as(honest, data, detections)
    exact, file = audit_exact(scored), tmp_path_factory.mktemp("edited") / "card.json"

    def check(document: dict[str, Any]) -> bool:
        try:
            card = Scorecard.model_validate(document)
        except ValidationError:
            return True
        file.write_text(json.dumps(document), encoding="utf-8")
        return bool(_recompute.wrong_claims(card, file)) or any(
            True for _ in _recompute.wrong_audits(card, scored, exact)
        )

    return check


def test_what_an_edit_can_change_unseen_is_known(seen: Callable[[dict[str, Any]], bool]) -> None:
    document = json.loads(bundled(CARD).read_text(encoding="utf-8"))
    assert not seen(document)
    tried = list(edited(document))
    missed = [place for place, changed in tried if not seen(changed)]
    assert [place for place in missed if not any(fnmatch(place, one) for one in UNSEEN)] == []
    assert len(tried) > 1000
    assert len(missed) < 0.2 * len(tried)
