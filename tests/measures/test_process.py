"""What the kernel tells of processes: peak memory, processor time; and holding them still."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch

from wildbench.detectors.zoo import _zoo
from wildbench.measures.latency import Process
from wildbench.submissions.archive._archive import save_submission
from wildbench.submissions.process import Sandbox, ask
from wildbench.submissions.process._processor import held, peak_resident, processor_seconds, tree

BURN = "import threading, sys\ndef burn():\n while True: pass\n"
HELPER = "import subprocess\np = subprocess.Popen([sys.executable, '-c', 'while True: pass'])\n"


@contextmanager
def process(code: str) -> Iterator[int]:
    """A process that has run this code, and then waits."""
    command = [sys.executable, "-c", f"{code}\nprint(flush=True); input()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout
        child.stdout.readline()
        try:
            yield child.pid
        finally:
            for pid in tree(child.pid)[1:]:
                subprocess.run(["kill", "-9", str(pid)], check=True)
            child.kill()


def spin(seconds: float) -> None:
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass


def test_the_peak_stays_after_memory_is_given_back() -> None:
    with process("") as plain, process("block = bytearray(2**28); del block") as greedy:
        assert 0.9 * 2**28 < (peak_resident([greedy]) or 0) - (peak_resident([plain]) or 0) < 1.5 * 2**28


def test_what_the_parent_took_does_not_count() -> None:
    block = np.ones(2**28, np.uint8)
    with process("") as plain:
        assert (peak_resident([plain]) or 0) < 2**28
    assert block.all()


@pytest.mark.parametrize("busy", [f"{BURN}threading.Thread(target=burn, daemon=True).start()", f"{BURN}{HELPER}"])
def test_who_is_held_takes_no_processor_time_and_goes_on_afterwards(busy: str) -> None:
    with process(busy) as pid:
        assert len(tree(pid)) == (2 if "Popen" in busy else 1)
        with held(pid) as pids:
            before = sum(processor_seconds(pids).values())
            spin(0.05)
            assert sum(processor_seconds(pids).values()) - before < 0.002
        begin = sum(processor_seconds(pids).values())
        end = time.perf_counter() + 10
        while sum(processor_seconds(pids).values()) == begin:
            assert time.perf_counter() < end


def test_the_time_of_children_that_have_ended_is_their_parents() -> None:
    code = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'sum(range(3_000_000))'])"
    with process(code) as pid, process("") as plain:
        assert sum(processor_seconds(tree(pid)).values()) > sum(processor_seconds(tree(plain)).values()) + 0.01


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_a_cuda_device_has_its_name(tmp_path: Path) -> None:
    name = "fcos_efficientnet_lite0_fpn"
    save_submission(_zoo.build(name, 1), tmp_path / "a.pt", detector=name, categories=["zebra"])
    with Sandbox(tmp_path / "a.pt", device="cuda") as box:
        assert ask(box, "wildbench.measures.latency:describe", Process).device == torch.cuda.get_device_name(0)
