"""`python -m studies.gpu_check`: everything that only a GPU can show, in one go of at most eight minutes."""

from __future__ import annotations

import json
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from studies import as_app, run
from wildbench.errors import RecipeError
from wildbench.files import check_writable, write_atomically

MINUTES = 8.0
CALLS, WARM = 300, 20
CLOSE = 0.02
"""Share by which an output may differ from torch's, of the largest: TF32 rounds to eleven bits."""

REPOSITORY = Path(__file__).parents[2]
QUERY = "name,driver_version,persistence_mode,clocks.sm,clocks.max.sm,power.limit,temperature.gpu,memory.total"


def facts(device: str) -> dict[str, Any]:
    """What a figure depends on besides the network."""
    import torch

    told: dict[str, Any] = {"device": device, "python": platform.python_version(), "torch": torch.__version__}
    if device == "cpu":
        return told
    cudnn: Any = torch.backends.cudnn
    told |= {"cuda": torch.version.cuda, "cudnn": cudnn.version()}
    told |= {
        "tf32, products": torch.backends.cuda.matmul.allow_tf32,
        "tf32, convolutions": torch.backends.cudnn.allow_tf32,
    }
    told["cudnn searches"] = torch.backends.cudnn.benchmark
    command = ["nvidia-smi", f"--query-gpu={QUERY}", "--format=csv,noheader"]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    return told | dict(zip(QUERY.split(","), map(str.strip, answer.stdout.split(",")), strict=False))


def trace(device: str, seconds: float) -> list[dict[str, Any]]:
    """Time every way to run every network by the port and by the wall clock."""
    from studies.gpu_check.ways import NETWORKS, port_of, ways

    rows: list[dict[str, Any]] = []
    ends = time.monotonic() + seconds
    for title, make in NETWORKS.items():
        port, expected = port_of(device), None
        for maker in ways(make(), device, port):
            if time.monotonic() > ends:
                return [*rows, {"network": title, "error": "no time was left"}]
            try:
                way = maker()
                output = way.check()
                expected = output if expected is None else expected
                row: dict[str, Any] = {"network": title, "way": way.name, **timed(port, way.call)}
                row["difference"] = float(np.abs(output - expected).max() / max(1e-9, np.abs(expected).max()))
            except Exception as error:  # a provider that is not there is a finding
                row = {"network": title, "error": f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"}
            rows.append(row)
    return rows


def timed(port: Any, call: Callable[[], object], calls: int = CALLS) -> dict[str, list[float]]:  # noqa: ANN401
    """Milliseconds of each call, by the port's marks and by the wall clock with a wait after each."""
    for _ in range(WARM):
        call()
    port.sync()
    device, wall = [], []
    for _ in range(calls):
        begin = time.perf_counter()
        first = port.record()
        call()
        last = port.record()
        port.sync()
        wall.append(1000 * (time.perf_counter() - begin))
        device.append(1000 * port.elapsed(first, last))
    return {"device_ms": device, "wall_ms": wall}


def loadgen(device: str, seconds: float) -> dict[str, Any]:
    """The reference network by MLPerf's loadgen, single stream; the error where that is not installed."""
    from studies.gpu_check.ways import NETWORKS, port_of, ways

    try:
        from studies.gpu_check.single_stream import single_stream

        port = port_of(device)
        way = next(iter(ways(NETWORKS["reference network"](), device, port)))()

        def call() -> None:
            way.call()
            port.sync()

        return {"loadgen_ms": [1000 * one for one in single_stream(call, seconds)]}
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"}


def command(name: str, arguments: list[str], seconds: float) -> dict[str, Any]:
    """Run a part of the check in a process of its own."""
    begin = time.monotonic()
    try:
        done = subprocess.run(
            [sys.executable, *arguments], cwd=REPOSITORY, capture_output=True, text=True, timeout=seconds, check=False
        )
        tail, code = (done.stdout + done.stderr)[-3000:], done.returncode
    except subprocess.TimeoutExpired:
        tail, code = "it took too long", None
    return {"part": name, "exit": code, "seconds": time.monotonic() - begin, "tail": tail}


def report(found: dict[str, Any]) -> str:
    """The findings in Markdown."""
    lines = ["# GPU check", "", *(f"- {name}: {value}" for name, value in found["facts"].items()), ""]
    lines += [
        "| network | way | p50 by events, ms | p50 by the clock, ms | difference |",
        "| --- | --- | --: | --: | --: |",
    ]
    for row in found["traces"]:
        if "error" in row:
            lines.append(f"| {row['network']} | {row['error']} | | | |")
            continue
        medians = [f"{statistics.median(row[key]):.3f}" for key in ("device_ms", "wall_ms")]
        wrong = "" if row["difference"] <= CLOSE else " **differs**"
        lines.append(f"| {row['network']} | {row['way']} | {' | '.join(medians)} | {row['difference']:.1e}{wrong} |")
    stream = found["loadgen"]
    told = f"p50 {statistics.median(stream['loadgen_ms']):.3f} ms" if "loadgen_ms" in stream else stream["error"]
    lines += ["", f"loadgen, single stream, reference network: {told}"]
    for part in found["parts"]:
        lines += [
            "",
            f"## {part['part']}: exit {part['exit']}, {part['seconds']:.0f} s",
            "",
            "```",
            part["tail"],
            "```",
        ]
    return "\n".join(lines) + "\n"


def main(
    out: Annotated[Path, typer.Option(help="Folder for report.md and traces.json.")] = Path("gpu_check"),
    device: Annotated[str, typer.Option(help="cuda:N; cpu tries the script where there is no GPU.")] = "cuda:0",
    minutes: Annotated[float, typer.Option(min=0.05, help="For everything.")] = MINUTES,
    parts: Annotated[bool, typer.Option(help="Run the CUDA tests and an evaluation too.")] = True,
) -> None:
    """Ask a machine with a GPU everything at once: tests, providers, the protocol, and other instruments beside it.

    Exit 1 where a way to run a network answers otherwise than torch, or a part fails.
    """
    import torch

    if device != "cpu" and not torch.cuda.is_available():
        raise RecipeError("torch sees no CUDA device", code="no-gpu", remedy="try the script with --device cpu")
    out.mkdir(parents=True, exist_ok=True)
    check_writable(out / "report.md")
    whole = 60 * minutes
    found: dict[str, Any] = {"facts": facts(device), "traces": trace(device, 0.35 * whole)}
    found["loadgen"] = loadgen(device, 0.05 * whole)
    evaluation = [
        "-c",
        "from wildbench.cli import main; main()",
        "evaluate",
        "baselines/reference.pt",
        "--device",
        device,
        "--no-audits",
    ]
    found["parts"] = (
        [
            command("pytest", ["-m", "pytest", "-q", "-n", "0", "-k", "cuda or gpu", "tests"], 0.3 * whole),
            command("evaluate", [*evaluation, "--out", str((out / "reference.json").resolve())], 0.3 * whole),
        ]
        if parts
        else []
    )
    write_atomically(out / "traces.json", json.dumps(found, indent=1).encode())
    write_atomically(out / "report.md", report(found).encode())
    typer.echo(f"gpu_check: {out / 'report.md'}")
    wrong = [row for row in found["traces"] if row.get("difference", 0) > CLOSE]
    if wrong or any(part["exit"] for part in found["parts"]):
        raise typer.Exit(1)


app = as_app(main)

if __name__ == "__main__":
    run(app)
