"""Peak memory, in processes that really take it."""

import subprocess
import sys

import numpy as np

from wildbench.measures.process import peak_resident

TELL = "from wildbench.measures.process import peak_resident; {before}print(peak_resident())"


def peak_of_a_process(before: str = "") -> int:
    return int(subprocess.check_output([sys.executable, "-c", TELL.format(before=before)]))


def test_the_peak_stays_after_memory_is_given_back() -> None:
    plain, greedy = peak_of_a_process(), peak_of_a_process("block = bytearray(2**28); del block; ")
    assert 0.9 * 2**28 < greedy - plain < 1.5 * 2**28


def test_what_the_parent_took_does_not_count() -> None:
    block = np.ones(2**29, np.uint8)
    assert peak_of_a_process() < 2**29 < peak_resident()
    assert block.all()
