"""The reference network: numpy against torch, and what it costs."""

import numpy as np
import psutil
import pytest
import torch

from wildbench.measures import reference_network
from wildbench.measures.compute._torch_counter import count_macs


def test_numpy_and_torch_run_the_same_network() -> None:
    image, stem, blocks = reference_network.weights()
    with torch.no_grad():
        expected = reference_network.torch_network()(torch.from_numpy(image)[None])[0].numpy()
    found = reference_network.forward(image, stem, blocks)
    assert found.shape == (128, 20, 20)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert found.std() > 0.01


def test_it_is_the_same_network_every_time() -> None:
    first, second = reference_network.weights(), reference_network.weights()
    np.testing.assert_array_equal(first[0], second[0])
    np.testing.assert_array_equal(first[2][5][1], second[2][5][1])


def test_its_macs_are_those_that_the_protocol_states() -> None:
    network = reference_network.torch_network()
    count = count_macs(lambda: network(torch.zeros(1, 3, 320, 320)))
    stem = 160 * 160 * 16 * 27
    depthwise = 9 * (80**2 * (16 + 32) + 40**2 * (32 + 64) + 20**2 * (64 + 128))
    pointwise = 80**2 * (16 * 32 + 32 * 32) + 40**2 * (32 * 64 + 64 * 64) + 20**2 * (64 * 128 + 128 * 128)
    assert count.macs == stem + depthwise + pointwise == 45_388_800


def test_it_runs_in_its_own_process_with_its_own_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "7")
    with reference_network.Reference("cpu", threads=1) as reference:
        times = [reference.seconds() for _ in range(3)]
        pid = reference._process.pid
        environment = psutil.Process(pid).environ()
        assert psutil.Process(pid).num_threads() == 1
    assert all(0 < seconds < 5 for seconds in times)
    assert (environment["OMP_NUM_THREADS"], "OPENBLAS_NUM_THREADS" in environment) == ("1", False)
    assert not psutil.pid_exists(pid)
