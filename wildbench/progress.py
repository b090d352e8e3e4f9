"""Progress of long work, shown on a terminal and quiet elsewhere."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

Progress = Callable[[str, int, int], None]
"""Called as `progress(task, done, total)`; the first call with a new task starts its bar."""


def silent(task: str, done: int, total: int) -> None:
    """Show nothing."""


@contextlib.contextmanager
def shown() -> Iterator[Progress]:
    """Show one bar per task on stderr while the block runs; in a log file, one line when a task ends.

    Example:
        >>> with shown() as progress:
        ...     progress("render parksim", 1, 1)
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    console = Console(stderr=True)
    name = TextColumn("{task.description:<32}", markup=False)
    columns = (name, BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Bars(*columns, console=console, disable=not console.is_terminal) as bars:
        tasks: dict[str, TaskID] = {}

        def progress(task: str, done: int, total: int) -> None:
            if task not in tasks:
                tasks[task] = bars.add_task(task, total=total)
            bars.update(tasks[task], completed=done, total=total)
            if done == total and not console.is_terminal:
                console.print(f"{task}: {done}/{total}", highlight=False, markup=False)

        yield progress
