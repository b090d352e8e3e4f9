"""`python -m studies.macs`: count MACs beside torch's FlopCounterMode and fvcore, operation by operation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import torch
import typer
from rich.table import Table
from rich.text import Text

from studies import as_app, run
from studies.macs.counters import REASONS, Audit, Row, audit_counts
from wildbench.cli.tables import add_row, print_tables
from wildbench.detectors import zoo
from wildbench.errors import RecipeError
from wildbench.progress import shown

UNEXPLAINED = "UNEXPLAINED"

QUICK = ("fcos_efficientnet_lite0_fpn", "ssdlite320_mobilenet_v3_large")
"""Two networks that run in seconds: of the zoo's kinds of operation they lack matrix products and pasted masks."""


def main(
    names: Annotated[list[str] | None, typer.Argument(help="Detectors of the zoo [all].", metavar="[NAME]...")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Two small detectors alone.")] = False,
) -> None:
    """Count MACs beside torch's FlopCounterMode and fvcore, by operation; exit 1 where a difference is unexplained."""
    wanted = names or (QUICK if quick else zoo.names())
    unknown = [name for name in wanted if name not in zoo.names()]
    if unknown:
        raise RecipeError(
            f"no detector is called {unknown[0]!r}",
            code="no-such-detector",
            remedy=f"choose from {', '.join(zoo.names())}",
        )
    audits: dict[str, Audit] = {}
    with shown() as progress:
        for done, name in enumerate(wanted):
            progress("audit", done, len(wanted))
            audits[name] = audit(name)
        progress("audit", len(wanted), len(wanted))
    print_tables(*audit_tables(audits, REASONS))
    rows = sum(len(audit.rows) + audit.modules for audit in audits.values())
    unexplained = sum(len(audit.unexplained) for audit in audits.values())
    typer.echo(f"{rows} rows of {len(audits)} networks and their modules, {unexplained} unexplained")
    if unexplained:
        raise typer.Exit(1)


def audit(name: str) -> Audit:
    """Audit one detector of the zoo, with random weights, on a small image of noise."""
    torch.manual_seed(0)
    one_size = name.startswith("ssd")
    arguments: dict[str, Any] = {} if one_size else {"min_size": 64, "max_size": 96}
    detector = zoo.build(name, 13, **arguments).eval()
    return audit_counts(detector, ([torch.rand(3, 64, 96)],))


def audit_tables(audits: Mapping[str, Audit], reasons: Mapping[str, str]) -> list[Table]:
    """One table per network, and one of the rules that explain the differences.

    Args:
        audits: By name of the network.
        reasons: What each rule says, by its name.
    """
    rules = Table(title="why they differ", title_justify="left")
    for column in ("rule", "what it says"):
        rules.add_column(column)
    used = {rule for audit in audits.values() for row in audit.rows for rule in row.rules or ()}
    for rule, reason in reasons.items():
        if rule in used:
            add_row(rules, rule, reason)
    return [*(_network_table(name, audit) for name, audit in audits.items()), rules]


def _network_table(name: str, audit: Audit) -> Table:
    """The network's kinds of operation, then what is unexplained in its modules; the caption names what none counts."""
    uncounted = ", ".join(operator.removeprefix("aten::") for operator in audit.uncounted)
    caption = Text(f"counted by none: {uncounted}")
    table = Table(title=Text(name), title_justify="left", caption=caption, caption_justify="left")
    for column in ("operation", "our MACs", "torch FLOPs", "fvcore FLOPs", "explained by"):
        table.add_column(column, justify="right" if column.endswith(("MACs", "FLOPs")) else "left")
    for row in [*audit.rows, *(row for row in audit.unexplained if row.module)]:
        add_row(table, *cells(row))
    return table


def cells(row: Row) -> tuple[str, ...]:
    """A row as it is printed."""
    operation = f"{row.kind} in {row.module}" if row.module else row.kind
    explained = UNEXPLAINED if row.rules is None else ", ".join(row.rules)
    return (operation, f"{row.macs:,}", f"{row.torch_flops:,}", f"{row.fvcore_flops:,}", explained)


app = as_app(main)

if __name__ == "__main__":
    run(app)
