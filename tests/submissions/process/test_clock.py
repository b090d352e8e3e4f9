"""What a detector that runs its own code cannot bend: the nonce of an answer, and its processor time."""

import sys
from pathlib import Path

import numpy as np
import pytest
from refusals import refused

from wildbench.errors import WrongOutput
from wildbench.submissions.process import Sandbox

IMAGE = np.zeros((24, 40, 3), np.uint8)

THREADS = """
import threading, time
def burn():
    while time.thread_time() < 0.2:
        pass
def predict(image):
    helpers = [threading.Thread(target=burn) for _ in range(3)]
    for helper in helpers: helper.start()
    for helper in helpers: helper.join()
    return [], [], []
"""

AHEAD = """
import sys
from wildbench.submissions.process._wire import send
def predict(image):
    frame = sys._getframe()
    while "channel" not in frame.f_locals:
        frame = frame.f_back
    forged = {"detections": 0, "masks": False, "stages": {}, "dropped": 0, "nonce": "0123456789abcdef"}
    send(frame.f_locals["channel"], forged)
    return [], [], []
"""


COUNTING = """
calls = []
def predict(image):
    calls.append(1)
    return [[0, 0, len(calls), 1]], ['zebra'], [0.5]
"""


def box_of(folder: Path, body: str) -> Sandbox:
    (folder / "detector.xyz").write_text("x")
    (folder / "my.py").write_text(f"CATEGORIES = ['zebra']\ndef load(path): pass\n{body}")
    return Sandbox(folder / "detector.xyz", adapter=folder / "my.py", threads=1)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the kernel tells it in hundredths of a second")
def test_the_processor_time_of_every_thread_counts(tmp_path: Path) -> None:
    with box_of(tmp_path, THREADS) as box:
        answers = [box.predict(IMAGE) for _ in range(2)]
    assert all(0.55 < answer.processor < 1.5 for answer in answers)


def test_an_answer_that_is_sent_ahead_is_none(tmp_path: Path) -> None:
    with box_of(tmp_path, AHEAD) as box, refused("detector/garbled", kind=WrongOutput):
        box.predict(IMAGE)


def test_a_twin_has_seen_nothing(tmp_path: Path) -> None:
    counting = (
        "calls = []\ndef predict(image):\n    calls.append(1)\n    return [[0, 0, len(calls), 1]], ['zebra'], [0.5]\n"
    )
    with box_of(tmp_path, counting) as box:
        assert [box.predict(IMAGE).detections.boxes[0, 2] for _ in range(2)] == [1, 2]
        with box.twin() as twin:
            assert twin.predict(IMAGE).detections.boxes[0, 2] == 1
            assert twin.threads == box.threads == 1
