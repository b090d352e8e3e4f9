"""The command line: one module for each verb or group of verbs, and their tables.

`score`, `inspect` and `compare` stand with `evaluate`. Each handler imports what it needs when it runs, so that
`wildbench --help` answers at once and imports no torch.
"""

from __future__ import annotations

import io
import os
import sys
from typing import NoReturn

import typer

from wildbench.cli import agree, baseline, data, demo, detect, evaluate, explain, gate, leaderboard, review, train
from wildbench.errors import WildbenchError

app = typer.Typer(
    name="wildbench",
    help="Score compressed wildlife detectors: AP, bytes, MACs and latency, from one file, under one protocol.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for verb in (demo, evaluate, agree, explain, gate, detect, train, review):
    app.add_typer(verb.app)
app.add_typer(data.app, name="data")
app.add_typer(baseline.app, name="baseline")
app.add_typer(leaderboard.app, name="leaderboard")


def main() -> NoReturn:
    """Run the command line; a user's mistake is one line on stderr, its code at the end, and exit code 2."""
    _silence_libraries()
    try:
        app()
    except WildbenchError as error:
        typer.echo(error.line(), err=True)
        sys.exit(2)
    sys.exit(0)


def _silence_libraries() -> None:
    """Drop what C libraries write to the terminal, as libjpeg does on damaged pictures: we say it in findings."""
    try:
        if sys.stderr.fileno() != 2:
            return
        terminal = os.dup(2)
    except (AttributeError, OSError, io.UnsupportedOperation):  # closed, or a test's own
        return
    sys.stderr.flush()
    sys.stderr = open(terminal, "w", encoding=sys.stderr.encoding, errors="backslashreplace", buffering=1)  # noqa: PTH123, SIM115
    with open(os.devnull, "wb") as nowhere:  # noqa: PTH123
        os.dup2(nowhere.fileno(), 2)
