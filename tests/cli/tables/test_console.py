"""Tables are printed without a character that steers the terminal, wherever in them it stands."""

import pytest
from rich.table import Table
from rich.text import Text

from wildbench.cli.tables import add_row, print_tables

HOSTILE = "\x1b]0;owned\x9c\u202e\u2066"


def test_no_part_of_a_table_steers_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    table = Table(title=Text(f"title {HOSTILE}"), caption=Text(f"caption {HOSTILE}"))
    table.add_column(Text(f"head {HOSTILE}"))
    add_row(table, f"cell {HOSTILE}\nsecond line")
    print_tables(table)
    printed = capsys.readouterr().out
    assert all(mark.isprintable() or mark == "\n" for mark in printed)
    assert printed.count("owned") == printed.count("\\u202e") == 4
    assert "second line" in printed
