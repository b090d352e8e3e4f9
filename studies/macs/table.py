"""Counts of arithmetic: three counters beside each other, with what explains their differences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from wildbench.cli.tables.console import add_row

if TYPE_CHECKING:
    from studies.macs.count_audit import Audit, Row

UNEXPLAINED = "UNEXPLAINED"


def audit_tables(audits: Mapping[str, Audit], reasons: Mapping[str, str]) -> list[Table]:
    """A table a network, and one of the rules that explain them.

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
