"""What a paper or a proof needs and a user does not: one command each, outside the wheel. See README.md."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import NoReturn

import typer

from wildbench.errors import WildbenchError


def as_app(main: Callable[..., None]) -> typer.Typer:
    """A command line of one command.

    Args:
        main: Its parameters become arguments and options, its docstring the help.
    """
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
    app.command()(main)
    return app


def run(app: typer.Typer) -> NoReturn:
    """Run a study; a mistake of the caller is one line on stderr and exit code 2."""
    try:
        app()
    except WildbenchError as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(2)
    sys.exit(0)
