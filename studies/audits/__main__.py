"""`python -m studies.audits`: do the audits pass every honest detector, and none that knows the labels by heart?"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, NamedTuple

import typer
from rich.table import Table
from rich.text import Text

from studies import as_app, run
from studies.audits.hybrids import DRAWS, shares
from studies.audits.suspects import honest, opened, overfitted, reference_at, remembering
from wildbench.cli.tables import add_row, print_tables
from wildbench.datasets.coco import Dataset
from wildbench.datasets.images import decode
from wildbench.datasets.predictions import Detections
from wildbench.datasets.registry import load_dataset
from wildbench.measures.audits import Detect, audit_exact, run_audits
from wildbench.measures.matching import Scored
from wildbench.progress import Progress, shown
from wildbench.scorecard import Audit

QUICK = 40
"""Images of a quick run: the fewest from which fresh scenes are rendered."""

EPOCHS = 40


class Case(NamedTuple):
    """One detector: whether it is honest, and what its audits say."""

    name: str
    honest: bool
    audits: list[Audit]

    @property
    def right(self) -> bool:
        """Whether an honest one passes all, and any other fails one."""
        return self.honest != any(audit.failed for audit in self.audits)


def main(
    files: Annotated[list[Path] | None, typer.Argument(help="More honest detectors, on DATASET alone.")] = None,
    dataset: Annotated[str, typer.Option(help="Where FILES are honest.", metavar="NAME|JSON")] = "parksim",
    limit: Annotated[int, typer.Option(help="Use the first so many images.", min=16)] = 168,
    keep: Annotated[Path | None, typer.Option(help="Folder that keeps the detectors.")] = None,
    seed: Annotated[int, typer.Option(help="Of the audits; each detector has its own.", min=0)] = 0,
    quick: Annotated[bool, typer.Option("--quick", help=f"One honest detector, {QUICK} images.")] = False,
    partial: Annotated[bool, typer.Option("--partial", help="Only networks that know some of the labels.")] = False,
) -> None:
    """Audit honest detectors and such as know the test labels; exit 1 where one has the wrong verdict."""
    if partial:
        return print_tables(partly_known(load_dataset(dataset, limit=limit), keep, seed))
    cases: list[Case] = []
    with shown() as progress, tempfile.TemporaryDirectory() as temporary:
        folder = keep or Path(temporary)
        data = load_dataset(dataset, limit=QUICK if quick else limit, progress=progress)

        def judge(name: str, detect: Detect, is_honest: bool, known: frozenset[int] | None = None) -> None:
            own = seed + len(cases)
            cases.append(Case(name, is_honest, audited(detect, data, known, own, progress)))
            typer.echo(f"{name}: {'as it should be' if cases[-1].right else 'WRONG'}", err=True)

        chosen = {file.stem: file for file in files or []}
        if not chosen:
            small = reference_at(folder, "reference-192")
            chosen = {small.stem: small} if quick else honest(folder)
        for name, file in chosen.items():
            with opened(file, data) as (detect, known):
                judge(name, detect, True, known)
        if not files:
            with opened(chosen["reference-192"], data) as (detect, _):
                for name, cheat in cheats(data, detect).items():
                    judge(name, cheat, False)
            if not quick:
                tell: Callable[[int, int], None] = lambda done, total: progress("overfit", done, total)  # noqa: E731
                judge("overfitted network", overfitted(data, chosen["reference-192"], EPOCHS, tell), False)
    print_tables(case_table(cases))
    wrong = [case.name for case in cases if not case.right]
    typer.echo(f"{len(cases)} detectors, {len(wrong)} with the wrong verdict{': ' + ', '.join(wrong) if wrong else ''}")
    if wrong:
        raise typer.Exit(1)


def partly_known(data: Dataset, keep: Path | None, seed: int) -> Table:
    """One row per share of stored pictures: AP, and in how many draws of them an audit failed."""
    title = f"An honest network that knows the labels of some pictures: audits that failed, of {DRAWS} draws"
    table = Table(title=Text(title), title_justify="left")
    names = ("exact-boxes", "altered-images", "fresh-scenes")
    for column in ("stored, %", "boxes off by, %", "AP", *names, "any"):
        table.add_column(column, justify="right")
    with shown() as progress, tempfile.TemporaryDirectory() as temporary:
        file = reference_at(keep or Path(temporary), "reference-192")
        with opened(file, data) as (look, known):
            for one in shares(data, look, known, seed, progress):
                cells = [str(one.failed.get(name, 0)) for name in names]
                add_row(
                    table, *(f"{100 * value:.0f}" for value in one[:2]), f"{100 * one.ap:.1f}", *cells, str(one.caught)
                )
    return table


def cheats(data: Dataset, look: Detect) -> dict[str, Detect]:
    """Detectors that know labels by heart; `look` is the honest one behind the hybrids."""
    return {
        "lookup table": remembering(data, lambda image_id, _: Detections.concatenate([]), every=1),
        "nearest neighbour": remembering(data, None),
        "hybrid": remembering(data, look),
        "hybrid, boxes off by 3 %": remembering(data, look, jitter=0.03),
    }


def audited(detect: Detect, data: Dataset, known: frozenset[int] | None, seed: int, progress: Progress) -> list[Audit]:
    """Run a detector over the data set, then its audits."""
    parts = [detect(image["id"], decode(data.image_path(image))) for image in data.images]
    scored = Scored(data, Detections.concatenate(parts), known)
    return [audit_exact(scored), *run_audits(detect, scored, seed=seed, progress=progress)]


def case_table(cases: list[Case]) -> Table:
    """One row per detector: what each audit measured, and its bound."""
    table = Table(title=Text("AP and its fall in points, bound after the stroke"), title_justify="left")
    for column in ("detector", "AP", "exact boxes, %", "altered images", "AP", "new scenes", "AP", "verdict"):
        table.add_column(column, justify="left" if column in ("detector", "verdict") else "right")
    for case in cases:
        cells: list[str] = []
        for audit in case.audits:
            measured = audit.measured.value if audit.measured else None
            if measured is None or audit.bound is None:
                cells += ["-"] * (1 if audit.name == "exact-boxes" else 2)
                continue
            cells.append(f"{100 * measured:.1f} / {100 * audit.bound:.1f}")
            if "ap_audited" in audit.evidence:
                cells.append(f"{100 * (audit.evidence['ap_audited'].value or 0):.1f}")
        before = next(
            (one.evidence["ap_scored"].value for one in case.audits[::-1] if "ap_scored" in one.evidence), None
        )
        failed = [audit.name for audit in case.audits if audit.failed]
        verdict = f"failed {', '.join(failed)}" if failed else "passed"
        add_row(table, case.name, f"{100 * (before or 0):.1f}", *cells, verdict if case.right else f"WRONG: {verdict}")
    return table


app = as_app(main)

if __name__ == "__main__":
    run(app)
