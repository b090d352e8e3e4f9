"""Compression baselines: recipes and methods."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from wildbench.cli.tables.console import add_row

if TYPE_CHECKING:
    from wildbench.compression.recipes import Recipe
    from wildbench.compression.subject import Method


def recipes_table(recipes: Sequence[Recipe]) -> Table:
    """One row per recipe: what it is, its steps, whose experiment it is."""
    table = Table(title="recipes: wildbench baseline run NAME --from dense.pt -o out.pt", title_justify="left")
    table.add_column("recipe", no_wrap=True)
    for column in ("what it does", "steps", "source"):
        table.add_column(column)
    for recipe in recipes:
        add_row(table, recipe.name, recipe.summary, recipe.chain, recipe.source or "-")
    return table


def methods_table(methods: Mapping[str, Method]) -> Table:
    """One row per method: its family, what it does, what it takes, where it comes from."""
    table = Table(title="methods: what a step of a recipe may name", title_justify="left")
    table.add_column("method", no_wrap=True)
    for column in ("family", "what it does", "takes", "source"):
        table.add_column(column)
    for name, method in methods.items():
        takes = ", ".join(f"{key} = {field.default}" for key, field in method.settings.model_fields.items())
        add_row(table, name, method.family, method.summary, takes or "-", method.source)
    return table


def sweep_table(title: str, headings: Sequence[str], rows: Sequence[Sequence[str]], caption: str) -> Table:
    """One row per point of a sweep, dense parents first."""
    table = Table(title=Text(title), title_justify="left", caption=Text(caption), caption_justify="left")
    for number, heading in enumerate(headings):
        table.add_column(heading.replace(" ", "\n"), justify="right" if number else "left")
    for row in rows:
        add_row(table, *row)
    return table
