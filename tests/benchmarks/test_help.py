"""How soon the command line answers, as a ratio to what it is built on."""

import subprocess
import sys
import time

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

pytestmark = pytest.mark.timed

ROUNDS = 8


def seconds(code: str) -> float:
    begin = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - begin


def test_help_takes_little_longer_than_importing_typer(benchmark: BenchmarkFixture) -> None:
    asked, alone = [], []

    def both() -> None:
        alone.append(seconds("import typer"))
        asked.append(seconds("import sys; sys.argv = ['wildbench', '--help']; from wildbench.cli import main; main()"))

    benchmark.pedantic(both, rounds=ROUNDS, warmup_rounds=1)
    ratio = min(asked) / min(alone)
    benchmark.extra_info["ratio"] = ratio
    assert ratio <= 2
