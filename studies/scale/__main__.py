"""`python -m studies.scale`: a million images in shards of which some are killed, merged, scored and compared."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from studies import as_app, run
from studies.scale.synthetic import answers, job_of, write_labels
from wildbench.cli.tables import add_row, print_tables
from wildbench.distributed import Shard, merge, run_shard, write_merged
from wildbench.environment import usable_cpus

QUICK = 4000
"""Images of a quick run."""

KILLED = 3
"""Shards of the first detector that are killed before they end, and run again."""


@dataclass(frozen=True)
class Step:
    """What one step took.

    Attributes:
        name: What was done.
        seconds: By the clock.
        gigabytes: Most memory that one of its processes held.
    """

    name: str
    seconds: float
    gigabytes: float


def main(
    images: Annotated[int, typer.Option(min=1000, help="How many.")] = 1_000_000,
    shards: Annotated[int, typer.Option(min=KILLED, help="Processes that each detector's work is divided among.")] = 64,
    folder: Annotated[Path | None, typer.Option(help="Where to keep everything; else it is deleted.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help=f"{QUICK} images in 8 shards.")] = False,
    work: Annotated[str | None, typer.Option(hidden=True)] = None,
) -> None:
    """Detect with two detectors of noise, kill some shards, merge, score and compare; print what each step took.

    Exit 1 where the shards that were killed do not give what others give.
    """
    images, shards = (QUICK, 8) if quick else (images, shards)
    if work is not None:
        _work(work, images)
        return
    place = folder or Path(tempfile.mkdtemp(prefix="scale-"))
    try:
        steps, same = _all_steps(place, images, shards)
    finally:
        if folder is None:
            shutil.rmtree(place)
    table = Table(title=f"{images:,} images, {shards} shards, {KILLED} of them killed", title_justify="left")
    for column in ("step", "seconds", "GB"):
        table.add_column(column, justify="left" if column == "step" else "right")
    for step in [*steps, Step("everything", sum(step.seconds for step in steps), max(s.gigabytes for s in steps))]:
        add_row(table, step.name, f"{step.seconds:.0f}", f"{step.gigabytes:.2f}")
    print_tables(table)
    typer.echo(f"merged again in another order, the bytes are {'the same' if same else 'OTHERS'}")
    if not same:
        raise typer.Exit(1)


def _all_steps(place: Path, images: int, shards: int) -> tuple[list[Step], bool]:
    labels, wildbench = place / "labels.json", [sys.executable, "-c", "from wildbench.cli import main; main()"]
    this = [sys.executable, "-m", "studies.scale", "--images", str(images), "--work"]
    steps = [_step("write labels", [[*this, f"labels {labels}"]])]
    for detector in (1, 2):
        parts, merged = place / f"parts-{detector}", place / f"detector-{detector}.parquet"
        commands = [[*this, f"detect {detector} {index}/{shards} {parts}"] for index in range(1, shards + 1)]
        steps.append(_step(f"detect, detector {detector}", commands, kill=KILLED if detector == 1 else 0))
        steps.append(_step(f"merge, detector {detector}", [[*wildbench, "merge", str(parts), "-o", str(merged)]]))
        card = place / f"detector-{detector}.card.json"
        score = ["score", str(merged), "--dataset", str(labels), "--out", str(card)]
        steps.append(_step(f"score, detector {detector}", [[*wildbench, *score]]))
    cards = [str(place / f"detector-{detector}.card.json") for detector in (1, 2)]
    steps.append(_step("compare", [[*wildbench, "compare", *cards, "--dataset", str(labels)]]))
    first, again = place / "detector-1.parquet", place / "again.parquet"
    split = place / "other-half"
    split.mkdir()
    shutil.copy(place / "parts-1" / "job.parquet", split)
    for part in sorted((place / "parts-1").glob("part-*"))[::2]:
        part.rename(split / part.name)
    write_merged(merge([split, place / "parts-1"]), again)
    return steps, first.read_bytes() == again.read_bytes()


def _step(name: str, commands: list[list[str]], kill: int = 0) -> Step:
    """Run commands, as many at a time as there are processors; the first `kill` of them are killed once."""
    start = time.monotonic()
    chance = random.Random(1)
    with ThreadPoolExecutor(usable_cpus() if len(commands) > 1 else 1) as pool:
        killed = [chance.uniform(1, 4) if number < kill else None for number in range(len(commands))]
        peaks = list(pool.map(_run, commands, killed))
    typer.echo(f"{name}: {time.monotonic() - start:.0f} s", err=True)
    return Step(name, time.monotonic() - start, max(peaks))


def _run(command: list[str], kill_after: float | None) -> float:
    """Run one command, after another run of it that was killed after so many seconds; its most memory, in GB."""
    if kill_after is not None:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            process.wait(kill_after)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise RuntimeError(f"{' '.join(command)}: exit {child.returncode}")
    return usage.ru_maxrss / 1e6


def _work(task: str, images: int) -> None:
    """What a process of this study does."""
    what, *arguments = task.split()
    if what == "labels":
        write_labels(Path(arguments[0]), images)
        return
    detector, shard, parts = arguments
    job, pictures = job_of(images, int(detector))
    run_shard(job, pictures, Path(parts), [partial(answers, int(detector))], shard=Shard.parse(shard))


app = as_app(main)

if __name__ == "__main__":
    run(app)
