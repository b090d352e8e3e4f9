"""Peak memory, in processes that really take it."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from wildbench.detectors.zoo import _zoo
from wildbench.measures.latency import Process, peak_resident
from wildbench.submissions.archive._archive import save_submission
from wildbench.submissions.process import Sandbox, ask

TELL = "from wildbench.measures.latency import peak_resident; {before}print(peak_resident())"


def peak_of_a_process(before: str = "") -> int:
    return int(subprocess.check_output([sys.executable, "-c", TELL.format(before=before)]))


def test_the_peak_stays_after_memory_is_given_back() -> None:
    plain, greedy = peak_of_a_process(), peak_of_a_process("block = bytearray(2**28); del block; ")
    assert 0.9 * 2**28 < greedy - plain < 1.5 * 2**28


def test_what_the_parent_took_does_not_count() -> None:
    block = np.ones(2**29, np.uint8)
    assert peak_of_a_process() < 2**29 < peak_resident()
    assert block.all()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_a_cuda_device_has_its_name(tmp_path: Path) -> None:
    name = "fcos_efficientnet_lite0_fpn"
    save_submission(_zoo.build(name, 1), tmp_path / "a.pt", detector=name, categories=["zebra"])
    with Sandbox(tmp_path / "a.pt", device="cuda") as box:
        assert ask(box, "wildbench.measures.latency:describe", Process).device == torch.cuda.get_device_name(0)
