"""Figures that a detector's own process invents, and files that are none: what is recorded is what this process saw."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx_files as graphs
import pytest
from arena import Attack, cases, check, forked

import wildbench
from wildbench.scorecard import Scorecard
from wildbench.submissions.process import Sandbox

BODY = "def predict(image):\n    return [[0, 0, 9, 9]], ['lion'], [0.5]\n"
CLOCK = """
import time
sleep = time.sleep
for name in ("perf_counter", "monotonic", "time", "process_time"):
    setattr(time, name, lambda: 0.0)
def predict(image):
    sleep(0.03)
    return [[0, 0, 9, 9]], ['lion'], [0.5]
"""
NAMES = """
import wildbench.measures.latency as latency
latency.describe = lambda *_: {"device": "ESP32, 520 kB", "peak_memory": 1}
latency.execution = lambda *_: {"device": "ESP32, 520 kB", "runtime": "mine 9", "precision": {"int1": 99}}
"""
GRAPHICS = """
import sys, types
class Cuda:
    is_available = is_initialized = staticmethod(lambda: True)
    current_device = staticmethod(lambda: 0)
    get_device_name = staticmethod(lambda: "Hailo-8")
    max_memory_allocated = staticmethod(lambda: 1)
sys.modules["torch"] = types.SimpleNamespace(cuda=Cuda)
"""
MEMORY = """
import numpy as np
SEEN = {}
def predict(image):
    key = image[::8, ::8].mean().round(2)
    if key not in SEEN:
        np.linalg.svd(np.random.default_rng(0).random((120, 120)))
    SEEN[key] = True
    return [[0, 0, 9, 9]], ['lion'], [0.5]
"""


def evaluated(body: str, folder: Path, park: Path, **options: Any) -> Scorecard:
    (folder / "detector.xyz").write_text("x")
    (folder / "adapter.py").write_text(f"CATEGORIES = ['zebra', 'lion']\ndef load(path): pass\n{body}")
    options = {"device": "cpu", "audits": False} | options
    return wildbench.evaluate(folder / "detector.xyz", adapter=folder / "adapter.py", dataset=park, **options)


INVENTED: dict[str, tuple[str, Callable[[Scorecard], bool]]] = {
    "clock": (CLOCK, lambda card: (card.latency.p50.value or 0) >= 30),  # type: ignore[union-attr]
    "device": (NAMES + BODY, lambda card: {card.latency.device, card.execution.device} == {"cpu"}),  # type: ignore[union-attr]
    "answers-kept-for-the-counting": (MEMORY, lambda card: "compute" in card.told),
}


@pytest.mark.parametrize("kind", INVENTED)
@pytest.mark.slow
def test_nothing_invented_is_ranked(kind: str, tmp_path: Path, park: Path) -> None:
    body, holds = INVENTED[kind]
    end = forked(lambda: bool(holds(evaluated(body, tmp_path, park))))
    assert (end.kind, end.value) == ("ended", True), end


@pytest.mark.parametrize("device", ["cpu", "auto"])
@pytest.mark.slow
def test_a_device_that_was_not_given_is_refused(device: str, tmp_path: Path, park: Path) -> None:
    if device == "auto" and list(Path("/dev").glob("nvidia*")):
        pytest.skip("there is one")
    end = forked(lambda: str(evaluated(GRAPHICS + BODY, tmp_path, park, device=device).latency))
    assert (end.kind, end.code) == ("refused", "detector/garbled"), end


LEFTOVERS = """
import os, sys
def predict(image):
    more = os.pread(int(sys.argv[-1]), 1 << 24, 0)[image.size:]
    return [[0, 0, 4, 4]], ['lion'], [1.0 if more.strip(b"\\0") else 0.25]
"""


@pytest.mark.slow
def test_nothing_stays_of_an_earlier_picture(tmp_path: Path) -> None:
    (tmp_path / "detector.xyz").write_text("x")
    (tmp_path / "adapter.py").write_text(f"CATEGORIES = ['zebra', 'lion']\ndef load(path): pass\n{LEFTOVERS}")

    def act() -> list[float]:
        with Sandbox(tmp_path / "detector.xyz", adapter=tmp_path / "adapter.py", threads=1) as box:
            sizes = ((200, 300), (20, 30), (100, 90), (20, 30))
            pictures = (np.full((*size, 3), 255, np.uint8) for size in sizes)
            return [float(box.predict(one).detections.scores[0]) for one in pictures]

    end = forked(act)
    assert (end.kind, end.value) == ("ended", [0.25] * 4), end


def placed(place: Callable[[Path], object], *, without_manifest: bool = True) -> Callable[[Path], Path]:
    """An honest graph whose manifest is taken out, with something in its place."""

    def make(folder: Path) -> Path:
        edit = (lambda model: model.ClearField("metadata_props")) if without_manifest else None
        path = graphs.network(folder, edit=edit)
        (folder.parent / "elsewhere.json").write_text("{}")
        place(folder)
        return path

    return make


def itself(path: str) -> Callable[[Path], Path]:
    return lambda folder: Path(path.format(folder=folder))


def piped(folder: Path) -> Path:
    os.mkfifo(folder / "evil.onnx")
    return folder / "evil.onnx"


def circle(folder: Path) -> Path:
    (folder / "a").mkdir()
    (folder / "a" / "b").symlink_to(folder / "a")
    (folder / "a" / "evil.onnx").symlink_to("evil.onnx")
    return folder / "a"


def pipes_in_folder(folder: Path) -> Path:
    (folder / "a").mkdir()
    for name in ("evil.onnx", "evil.manifest.json", "labels.txt"):
        os.mkfifo(folder / "a" / name)
    return folder / "a"


LOOK, ANY = "inspect {} --no-probe", "submission/* input/* output/*"
FILES = [
    Attack("manifest-a-link-out", placed(lambda folder: (folder / "evil.manifest.json").symlink_to("../elsewhere.json")), LOOK, "submission/outside"),
    Attack("manifest-a-pipe", placed(lambda folder: os.mkfifo(folder / "evil.manifest.json")), LOOK, None),
    Attack("manifest-of-zeros-without-end", placed(lambda folder: (folder / "evil.manifest.json").symlink_to("/dev/zero")), LOOK, None),
    Attack("manifest-of-a-process", placed(lambda folder: (folder / "evil.manifest.json").symlink_to("/proc/self/environ")), LOOK, "submission/*"),
    Attack("manifest-of-300-mb", placed(lambda folder: (folder / "evil.manifest.json").write_bytes(b"[" * (300 << 20))), LOOK, "submission/*"),
    Attack("manifest-deep", placed(lambda folder: (folder / "evil.manifest.json").write_bytes(b'{"input":' * 10**5)), LOOK, "submission/*"),
    Attack("labels-a-link-out", placed(lambda folder: (folder / "labels.txt").symlink_to("/etc/hostname")), LOOK, "submission/*"),
    Attack("submission-a-pipe", piped, LOOK, "submission/*"),
    Attack("submission-of-zeros", itself("/dev/zero"), LOOK, "submission/*"),
    Attack("submission-standard-input", itself("/proc/self/fd/0"), LOOK, "submission/*"),
    Attack("submission-own-memory", itself("/proc/self/mem"), LOOK, "submission/*"),
    Attack("submission-own-environment", itself("/proc/self/environ"), LOOK, "submission/*"),
    Attack("folder-in-a-circle", circle, LOOK, "submission/*"),
    Attack("folder-of-pipes", pipes_in_folder, LOOK, "submission/*"),
]  # fmt: skip


@cases(FILES)
def test_no_file_is_read_that_is_none(attack: Attack, tmp_path: Path) -> None:
    check(attack, tmp_path)
