"""Measuring a row again on the board's own machine: from then on it shows that machine's figures, and is ranked."""

from __future__ import annotations

import hashlib
import math
import tempfile
from collections.abc import Iterator
from pathlib import Path

from wildbench.errors import ScorecardError
from wildbench.evaluation import evaluate
from wildbench.files import check_writable
from wildbench.leaderboard import _recompute, _results
from wildbench.leaderboard._results import Claim, Reproduction
from wildbench.measures import figures
from wildbench.progress import Progress, silent
from wildbench.scorecard import Figure, Scorecard, read_scorecard

ACCURACY = 0.01
"""Absolute, of AP and AP50: what another processor's rounding may change."""

ARITHMETIC = 0.01
"""Relative, of MACs: an early exit, or the number of proposals, may hang on a rounding."""

TIME = 1.5
"""Factor, of milliseconds on the same class of machine. Beyond it a row is kept all the same: it shows our own."""

_BYTES = ("size.file_bytes", "size.parameters", "size.nonzero")


def reproduce(
    row: str,
    board: Path,
    submission: Path,
    *,
    dataset: Path | str | None = None,
    images: Path | None = None,
    device: str = "auto",
    manifest: Path | None = None,
    adapter: Path | None = None,
    progress: Progress = silent,
) -> Reproduction:
    """Evaluate the submission of a row here, and put this machine's card, detections and figures in place of the row's.

    Args:
        row: Id of the row, or its name.
        board: Folder of the leaderboard.
        submission: The submission's file.
        dataset: COCO file, for a row that was scored on a file.
        images: Folder of the images, where it is not near the JSON.
        device: As in `wildbench.evaluate`.
        manifest: The manifest that it was evaluated with, where that is neither in the file nor beside it.
        adapter: The adapter, where it was evaluated with one.
        progress: Called as `progress(task, done, total)`.

    Raises:
        ScorecardError: There is no such row, the file is another submission, or its figures are not those claimed,
            within `ACCURACY`, `ARITHMETIC` and, for sizes, exactly. Nothing has changed then.
    """
    result = _row(row, board)
    claimed = result.card
    check_writable(board / "results" / _results.CARD)
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / f"{Path(claimed.accuracy.predictions_file).name.removesuffix('.predictions.json')}.json"
        evaluate(
            submission,
            dataset=claimed.dataset.name if dataset is None else dataset,
            images=images,
            split=claimed.dataset.split or "test",
            grouping=claimed.dataset.grouping,
            device=device,
            limit=claimed.dataset.limit,
            manifest=manifest,
            adapter=adapter,
            out=path,
            progress=progress,
        )
        measured = read_scorecard(path)
        _check_same(result, measured)
        for name, explanation in measured.failed_audits().items():
            what = f"{result.id}: audit {name}: {explanation}"
            raise ScorecardError(what, code="audit-failed", remedy="remove the row")
        made = _reproduction(result, measured, hashlib.sha256(path.read_bytes()).hexdigest())
        refused = [f"{name}: {_told(claim)}" for name, claim in made.figures.items() if claim.holds is False]
        if wrong := [line for line in refused if not line.startswith("latency.")]:
            what = f"{result.id}: not what this machine measures: {'; '.join(wrong)}"
            raise ScorecardError(what, code="not-reproduced", remedy="leave the row self-reported, or remove it")
        data = _recompute.DataSets(() if dataset is None else (dataset,)).of(measured)
        detections = _results.read_detections(path.with_name(measured.accuracy.predictions_file), measured, data)
        files = _recompute.kept_files(path, measured, _recompute.scored_as(measured, data, detections))
        _results.keep(board / "results" / result.id, files | {_results.REPRODUCED: made.to_bytes()}, replace=True)
    return made


def _row(row: str, board: Path) -> _results.Result:
    results = _results.read_results(board)
    found = [one for one in results if row in (one.id, one.card.submission.name)]
    if len(found) != 1:
        what = f"{board}: {len(found) or 'no'} rows are called {row!r}"
        raise ScorecardError(what, code="no-such-row", remedy="name one by its id, the name of its folder in results/")
    return found[0]


def _check_same(result: _results.Result, measured: Scorecard) -> None:
    """Refuse another submission, other labels, and another name."""
    mine, theirs = measured.submission, result.card.submission
    if mine.sha256 != theirs.sha256:
        what = f"{result.id}: the file is another submission: its hash is {mine.sha256[:12]}, not {theirs.sha256[:12]}"
        raise ScorecardError(what, code="other-submission", remedy="give the file that was submitted")
    if _results.result_id(measured) != result.id:
        what = f"{result.id}: its name, data set or protocol is different here"
        raise ScorecardError(what, code="other-folder", remedy="give its manifest, and the labels it was scored on")
    stated = [
        name for name in ("parent", "authors", "licence", "method") if getattr(mine, name) != getattr(theirs, name)
    ]
    if stated:
        what = f"{result.id}: its manifest states another {', '.join(stated)}"
        raise ScorecardError(what, code="other-manifest", remedy="give the manifest that it was evaluated with")


def _reproduction(result: _results.Result, measured: Scorecard, card_sha256: str) -> Reproduction:
    made = _results.own(measured, card_sha256)
    return made.model_copy(
        update={"claimed_sha256": result.card_sha256, "figures": dict(_claims(result.card, measured))}
    )


def _claims(claimed: Scorecard, measured: Scorecard) -> Iterator[tuple[str, Claim]]:
    """Every figure that is compared, by its path."""
    theirs, ours = claimed.figures(), measured.figures()

    def pair(path: str) -> tuple[float | None, float | None]:
        sides: list[Figure | None] = [theirs.get(path), ours.get(path)]
        one, other = (None if figure is None else figure.value for figure in sides)
        return one, other

    def claim(path: str, tolerance: str, most: float | None, *, relative: bool = False) -> tuple[str, Claim]:
        one, other = pair(path)
        holds = None if most is None else one is other
        if most is not None and one is not None and other is not None:
            holds = abs(one - other) <= (most * abs(other) if relative else most)
        return path, Claim(claimed=one, measured=other, tolerance=tolerance, holds=holds)

    for path in ("accuracy.ap", "accuracy.ap50"):
        yield claim(path, f"{ACCURACY:g} AP", ACCURACY)
    for path in _BYTES:
        yield claim(path, "none", 0)
    yield claim("compute.macs", f"{ARITHMETIC:.0%}", ARITHMETIC, relative=True)
    alike = figures.hardware(claimed) == figures.hardware(measured)
    for path in ("latency.p50", "latency.mean"):
        one, other = pair(path)
        within = bool(one and other) and abs(math.log((one or 1) / (other or 1))) <= math.log(TIME)
        what = f"a factor of {TIME:g}" if alike else "not compared: another class of machine"
        told = alike and one and other  # a disturbed machine has no latency
        yield path, Claim(claimed=one, measured=other, tolerance=what, holds=within if told else None)


def _told(claim: Claim) -> str:
    return f"claimed {claim.claimed}, measured {claim.measured} (tolerance {claim.tolerance})"
