"""What the walls cost: how much later a detector is ready, and what an answer takes longer."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from statistics import median

import numpy as np
import pytest
from small_networks import constant_detector

from wildbench.submissions.process import Sandbox, _parent
from wildbench.submissions.process._bubblewrap import bubblewrap

pytestmark = [pytest.mark.timed, pytest.mark.skipif(sys.platform != "linux", reason="the walls are Linux's")]

IMAGE = np.zeros((480, 640, 3), np.uint8)

OPEN = """
import os, socket, sys
from wildbench.submissions.process import _isolation, _jail
_jail.raise_walls = lambda *a, **k: _jail.Walls()
_isolation.probe = lambda *a: {}
_jail.main()
"""


@pytest.mark.parametrize("level", ["landlock", "namespaces"])
def test_walls_cost_little(level: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Against the same process without any, in turn."""
    if level == "namespaces" and not bubblewrap():
        pytest.skip("there is no bubblewrap, or it may not make namespaces")
    path = constant_detector(tmp_path / "a.onnx")
    program, command = bubblewrap() if level == "namespaces" else None, _parent.command
    starts: dict[str, list[float]] = {"walls": [], "open": []}
    answers: dict[str, list[float]] = {"walls": [], "open": []}
    for _ in range(7):
        for kind in starts:
            monkeypatch.setattr(_parent, "bubblewrap", lambda kind=kind: program if kind == "walls" else None)
            opened = lambda *a: [sys.executable, "-P", "-c", OPEN, *map(str, a)]  # noqa: E731
            monkeypatch.setattr(_parent, "command", command if kind == "walls" else opened)
            begin = time.perf_counter()
            with Sandbox(path, threads=1) as box:
                box.ready()
                starts[kind].append(time.perf_counter() - begin)
                answers[kind].append(median(box.predict(IMAGE).seconds for _ in range(100)))
    later = median(starts["walls"]) - median(starts["open"])
    ratio = min(answers["walls"]) / min(answers["open"])
    assert later < 0.3
    assert ratio < 1.05
