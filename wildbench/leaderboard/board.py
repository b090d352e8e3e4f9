"""Many scorecards become one ranked, deterministic list."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from wildbench.errors import ScorecardError
from wildbench.files import write_atomically
from wildbench.scorecard import Scorecard

FORMAT_VERSION = 1


def _row(card: Scorecard) -> dict[str, Any]:
    """The headline of one scorecard; every figure keeps its unit, interval and n."""
    figures = {
        "ap": card.accuracy.ap,
        "ap50": card.accuracy.ap50,
        "file_bytes": card.size.file_bytes if card.size else None,
        "macs": card.compute.macs if card.compute else None,
        "latency_p50": card.latency.p50 if card.latency else None,
        "latency_reference_ratio": card.latency.reference_ratio if card.latency else None,
    }
    return {
        "name": card.submission.name,
        "sha256": card.submission.sha256,
        "method": card.submission.method,
        "device": card.latency.device if card.latency else None,
        **{key: figure.model_dump(mode="json") if figure else None for key, figure in figures.items()},
    }


def _rank(card: Scorecard) -> tuple[float, float, str]:
    """Sort key: falling AP with the undefined last, then bytes with a file of unknown size last, then the hash."""
    ap = card.accuracy.ap.value
    size = card.size.file_bytes.value if card.size else None
    return (math.inf if ap is None else -ap, math.inf if size is None else size, card.submission.sha256)


def build_board(cards: Iterable[Scorecard]) -> dict[str, Any]:
    """Rank the scorecards of one data set and split by AP, then by bytes, then by hash.

    Args:
        cards: Scorecards made on the same images under the same protocol.

    Returns:
        Plain data: `format_version`, `dataset`, `protocol` and `rows`, best first.

    Raises:
        ScorecardError: There are no scorecards, or they were not made on the same data set under the same protocol.
    """
    cards = list(cards)
    if not cards:
        raise ScorecardError("a leaderboard needs at least one scorecard", remedy="evaluate a submission first")
    first = cards[0]
    for card in cards[1:]:
        if (card.dataset.sha256, card.protocol.version) != (first.dataset.sha256, first.protocol.version):
            raise ScorecardError(
                f"{card.submission.name} and {first.submission.name} were not scored on the same images",
                remedy="evaluate both on the same data set and split",
            )
    ranked = sorted(cards, key=_rank)
    return {
        "format_version": FORMAT_VERSION,
        "dataset": first.dataset.model_dump(mode="json"),
        "protocol": {"version": first.protocol.version},
        "rows": [_row(card) for card in ranked],
    }


def write_board(board: dict[str, Any], path: Path) -> None:
    """Write the board as sorted JSON: same scorecards, same bytes."""
    write_atomically(path, (json.dumps(board, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode())
