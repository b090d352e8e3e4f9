"""Sessions of a real detector in real processes."""

import math
import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from small_networks import constant_detector

from wildbench.measures.latency import Plan, SandboxPort, Sessions, Stopwatch, default_budget
from wildbench.measures.latency import _sessions as sessions_module
from wildbench.measures.latency._machine import look
from wildbench.measures.latency._ports import Facts
from wildbench.progress import silent
from wildbench.scorecard import Latency
from wildbench.scorecard._consistency import _latency
from wildbench.submissions.process import Sandbox

IMAGES = {Path(f"{side}.png"): np.full((side, 40, 3), side, np.uint8) for side in (24, 32)}
TINY = Plan(budget=600, sessions=5, calls=8, block=0.0, p50=math.inf, p99=math.inf)


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with Sandbox(constant_detector(tmp_path_factory.mktemp("sessions") / "constant.onnx"), threads=1) as opened:
        yield opened


@pytest.fixture(scope="module")
def passed(box: Sandbox) -> Latency:
    with Stopwatch() as watch:
        watch.add(box.predict(next(iter(IMAGES.values()))))
        return watch.latency(box)


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tell of a machine that does nothing else, whatever this one does."""
    monkeypatch.setattr(SandboxPort, "facts", lambda _: Facts())


def sessions_of(box: Sandbox, plan: Plan = TINY) -> Sessions:
    return Sessions(box, list(IMAGES), IMAGES.__getitem__, plan)


@pytest.mark.usefixtures("quiet")
def test_sessions_are_fresh_processes_and_answer_alike(box: Sandbox, passed: Latency) -> None:
    sessions = sessions_of(box)
    assert len(sessions.turns(20)) == 2
    before = box.pid
    card = sessions.finish(passed, (), 0, silent)
    assert box.pid == before
    assert box.predict(IMAGES[Path("24.png")]).seconds > 0  # the pass goes on
    assert card.sessions is not None
    assert len(card.sessions) == 5
    assert all(one.used and one.n >= 8 for one in card.sessions)
    assert card.p50.n == card.mean.n == sum(one.n for one in card.sessions)
    assert card.p50.interval is not None
    assert (
        min(one.p50 or 0 for one in card.sessions)
        <= (card.p50.value or 0)
        <= max(one.p50 or 0 for one in card.sessions)
    )
    assert card.p99.value is None  # of 40 calls or a few more
    assert card.reference_ratio.n == sum(one.kept for one in card.sessions)
    assert (card.cold_start.value or 0) > (card.p50.value or 0) if card.cold_start else False
    assert set(card.stages) == {"preprocess", "forward", "postprocess"}
    assert list(_latency(card)) == []  # it contradicts itself nowhere
    answers = {place: box.predict(image).detections for place, image in enumerate(IMAGES.values())}
    (audit,) = sessions.audit(answers)
    assert audit.name == "sessions-alike"
    assert audit.passed is not False


def test_a_disturbed_machine_has_no_latency(box: Sandbox, passed: Latency, monkeypatch: pytest.MonkeyPatch) -> None:
    busy = iter(np.arange(0, 1e9, 1e3))
    monkeypatch.setattr(SandboxPort, "facts", lambda _: Facts(busy=float(next(busy)), own=0.0))
    sessions = sessions_of(box, replace(TINY, budget=30, sessions=300))
    sessions.take()
    card = sessions.latency(passed)
    assert card.p50.value is card.mean.value is card.reference_ratio.value is None
    assert "other processes" in (card.p50.reason or "")
    assert card.sessions is not None
    assert [one.used for one in card.sessions] == [False]


def test_without_a_budget_the_pass_is_all(box: Sandbox, passed: Latency) -> None:
    sessions = Sessions(box, list(IMAGES), IMAGES.__getitem__, Plan(0))
    assert sessions.turns(100) == set()
    assert sessions.finish(passed, (), 0, silent) == passed
    assert sessions.audit({}) == []


@pytest.mark.usefixtures("quiet")
def test_threads_and_a_long_run(box: Sandbox, passed: Latency) -> None:
    card = Sessions(box, list(IMAGES), IMAGES.__getitem__, Plan(0)).finish(passed, (), 0.02, silent)
    assert card.sustained is not None
    assert len(card.sustained.minutes) == 1
    assert card.sustained.degradation.value is None
    figures = sessions_of(box).by_threads([1])
    assert figures["1"].value is not None or figures["1"].reason


def test_the_budget_is_that_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert default_budget() == 0  # of the suite
    monkeypatch.delenv("WILDBENCH_LATENCY_BUDGET")
    assert default_budget() == sessions_module.BUDGET


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's accounts are Linux's")
def test_what_the_kernel_counts_grows() -> None:
    before = look([os.getpid()], 0.0)
    sum(range(3_000_000))
    after = look([os.getpid()], 0.0)
    assert before.busy is not None
    assert after.busy is not None
    assert after.busy >= before.busy > 0
    assert after.cpus >= 1
