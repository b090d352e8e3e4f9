"""Verbs under `wildbench audit`: wildbench's own numbers against others'."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wildbench.cli.options import ImagesOption
from wildbench.errors import RecipeError

if TYPE_CHECKING:
    from studies.macs.count_audit import Audit

app = typer.Typer(help="Check wildbench's own numbers against others'.", no_args_is_help=True, rich_markup_mode=None)


@app.command("macs")
def audit_macs(
    names: Annotated[list[str] | None, typer.Argument(help="Detectors of the zoo [all].", metavar="[NAME]...")] = None,
) -> None:
    """Count MACs beside torch's FlopCounterMode and fvcore, by operation; exit 1 where a difference is unexplained."""
    from studies.macs.count_audit import REASONS
    from studies.macs.table import audit_tables
    from wildbench.cli.tables.console import print_tables
    from wildbench.detectors import zoo
    from wildbench.progress import shown

    wanted = names or zoo.names()
    unknown = [name for name in wanted if name not in zoo.names()]
    if unknown:
        raise RecipeError(f"no detector is called {unknown[0]!r}", remedy=f"choose from {', '.join(zoo.names())}")
    audits: dict[str, Audit] = {}
    with shown() as progress:
        for done, name in enumerate(wanted):
            progress("audit", done, len(wanted))
            audits[name] = _audit(name)
        progress("audit", len(wanted), len(wanted))
    print_tables(*audit_tables(audits, REASONS))
    rows = sum(len(audit.rows) + audit.modules for audit in audits.values())
    unexplained = sum(len(audit.unexplained) for audit in audits.values())
    typer.echo(f"{rows} rows of {len(audits)} networks and their modules, {unexplained} unexplained")
    if unexplained:
        raise typer.Exit(1)


@app.command("coverage")
def audit_coverage(
    names: Annotated[list[str] | None, typer.Argument(help="Scenarios [all].", metavar="[NAME]...")] = None,
    sets: Annotated[int, typer.Option(min=1, help="Simulated data sets of each scenario.")] = 1000,
    replicates: Annotated[int, typer.Option(min=2, help="Resampled sets of each data set.")] = 300,
    seed: Annotated[int, typer.Option(min=0, help="Of the simulated data sets.")] = 0,
    out: Annotated[Path | None, typer.Option(help="JSON to write with the numbers of the tables and more.")] = None,
) -> None:
    """Count how often 95 % intervals hold the true AP of simulated data sets."""
    from studies.coverage import coverage
    from studies.coverage.table import coverage_tables
    from wildbench.cli.tables.console import print_tables
    from wildbench.files import check_writable, write_atomically
    from wildbench.progress import shown

    scenarios = {scenario.name: scenario for scenario in coverage.SCENARIOS}
    unknown = [name for name in names or () if name not in scenarios]
    if unknown:
        raise RecipeError(f"no scenario is called {unknown[0]!r}", remedy=f"choose from {', '.join(scenarios)}")
    if out is not None:
        check_writable(out)
    with shown() as progress:
        rows = [
            row
            for name in names or scenarios
            for row in coverage.audit_coverage(
                scenarios[name], sets=sets, replicates=replicates, seed=seed, progress=progress
            )
        ]
    print_tables(*coverage_tables(rows))
    if out is not None:
        write_atomically(out, coverage.as_json(rows).encode())


def _audit(name: str) -> Audit:
    """The audit of one detector with random weights on a small image of noise."""
    import torch

    from studies.macs.count_audit import audit_counts
    from wildbench.detectors import zoo

    torch.manual_seed(0)
    arguments: dict[str, Any] = (
        {} if name.startswith("ssd") else {"min_size": 64, "max_size": 96}
    )  # an SSD has one size
    detector = zoo.build(name, 13, **arguments).eval()
    return audit_counts(detector, ([torch.rand(3, 64, 96)],))


@app.command("duplicates")
def audit_duplicates(
    name: Annotated[str, typer.Argument(help="A registered name, or any COCO detection JSON.", metavar="NAME|JSON")],
    limit: Annotated[int, typer.Option(help="So many images, evenly spaced.", min=2)] = 50,
    images: ImagesOption = None,
) -> None:
    """Alter images in every way that is expected, and count how many copies the duplicate check finds."""
    from studies.duplicates import recall
    from studies.duplicates.recall import recall_table
    from wildbench.cli.tables.console import print_tables
    from wildbench.datasets.coco import Dataset
    from wildbench.datasets.registry import load_whole
    from wildbench.progress import shown

    with shown() as progress:
        data = load_whole(name, images=images, progress=progress)
        chosen = data.images[:: max(1, len(data.images) // limit)][:limit]
        some = Dataset(data.name, None, {**data.coco, "images": chosen}, data.images_dir)
        recalls = recall.audit_duplicates(some, progress=progress)
    print_tables(recall_table(data.name, recalls))
