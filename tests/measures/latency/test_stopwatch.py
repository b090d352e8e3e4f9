"""The ratio and its interval on made-up times, the stopwatch on a real process."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch

from wildbench.detectors.zoo import _zoo
from wildbench.measures.latency import Stopwatch, ratio_figure
from wildbench.measures.latency import _stopwatch as latency
from wildbench.submissions.archive._archive import save_submission
from wildbench.submissions.process import Answer, Detections, Sandbox

EMPTY = Detections(np.zeros((0, 4), np.float32), np.zeros(0, np.int64), np.zeros(0, np.float32))
IMAGES = [np.random.default_rng(side).integers(0, 256, (side, 320, 3), np.uint8) for side in (200, 240, 280)]


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("latency") / "small.pt"
    name = "ssdlite320_mobilenet_v3_large"
    save_submission(_zoo.build(name, 2), path, detector=name, categories=["zebra", "lion"])
    with Sandbox(path) as opened:
        yield opened


def test_the_ratio_is_one_of_medians() -> None:
    random = np.random.default_rng(0)
    times, references = random.lognormal(0, 0.3, 101), random.lognormal(-2, 0.3, 33)
    figure = ratio_figure(times.tolist(), references.tolist(), every=3)
    assert figure.value == np.median(times) / np.median(references)
    assert figure.n == 33


def test_its_interval_holds_the_true_ratio_95_times_in_100() -> None:
    random = np.random.default_rng(1)
    held = 0
    for _ in range(200):
        times, references = random.lognormal(np.log(8), 0.2, 120), random.lognormal(0, 0.2, 40)
        low, high = ratio_figure(times.tolist(), references.tolist(), every=3).interval or (0, 0)
        held += low <= 8 <= high
    assert 180 <= held <= 199


def test_a_slow_spell_of_the_machine_cancels() -> None:
    random = np.random.default_rng(2)
    speed = np.where(np.arange(200) < 120, 1.0, 1.7)
    times = 8 * speed * random.lognormal(0, 0.02, 200)
    references = speed[3::4] * random.lognormal(0, 0.02, 50)
    figure = ratio_figure(times.tolist(), references.tolist(), every=4)
    assert figure.interval is not None
    assert figure.interval[0] <= 8 <= figure.interval[1]
    assert figure.value == pytest.approx(8, rel=0.05)


def test_too_few_reference_runs_give_no_interval_and_none_gives_no_ratio() -> None:
    assert ratio_figure([2.0] * 18, [1.0] * 9, every=2).interval is None
    none = ratio_figure([2.0] * 5, [], every=8)
    assert none.value is None
    assert none.reason == "the reference network runs after every 8 images, there were 5"


def test_a_whole_pass(box: Sandbox) -> None:
    with Stopwatch() as watch:
        watch.warm_up(box, IMAGES)
        for image in IMAGES * 8:
            watch.add(box.predict(image))
            watch.interleave_reference(box)
        figures = watch.latency(box)
        audit = watch.audit(box)
    assert audit.passed
    assert audit.measured is not None
    assert 0.1 < (audit.measured.value or 0) <= (audit.bound or 0)
    assert figures.warmup_runs in range(2 * latency.ROUND, (latency.MOST_ROUNDS + 1) * latency.ROUND, latency.ROUND)
    assert figures.device == "cpu"
    assert figures.threads == box.threads
    assert figures.p50.n == figures.mean.n == 24
    assert figures.p50.interval is not None
    assert figures.p99.reason == "p99 needs at least 100 samples, there are 24"
    assert set(figures.stages) == {"preprocess", "forward", "postprocess"}
    for stage in figures.stages.values():  # part of each time, and so its median is at most theirs
        assert 0 < (stage.value or 0) <= (figures.p50.value or 0)
    assert figures.peak_memory.value is not None
    assert 2**27 < figures.peak_memory.value < 2**32
    assert figures.reference.endswith("numpy, in its own process")


def test_the_reference_network_runs_when_its_turn_has_come(box: Sandbox) -> None:
    with Stopwatch() as watch:
        watch.warm_up(box, IMAGES[:1])
        for _ in range(watch.every):
            assert watch._references == []
            watch.add(Answer(EMPTY, 1.0))
            watch.interleave_reference(box)
        assert len(watch._references) == 1
        assert watch.disturbed == 0


def test_reference_runs_that_were_disturbed_are_left_out_and_many_of_them_leave_no_ratio() -> None:
    watch = Stopwatch()
    watch.every, watch._times = 2, [4.0, 4.0, 9.0, 9.0] + 10 * [4.0, 4.0]
    watch._references, watch.disturbed = [2.0, float("nan")] + 10 * [2.0], 1
    assert (watch._ratio().value, watch._ratio().n) == (2.0, 11)
    watch.disturbed = 2
    assert watch._ratio().reason == "the detector was not idle in 2 of 12 reference runs"


def test_more_processor_time_than_the_threads_have_fails_the_audit(box: Sandbox) -> None:
    for share, passed in ((1.0, True), (1.5, False)):
        watch = Stopwatch()
        for _ in range(5):
            watch.add(Answer(EMPTY, 1.0, share * box.threads))
        assert watch.audit(box).passed is passed


def test_no_image_is_no_latency(box: Sandbox) -> None:
    watch = Stopwatch()
    watch.warm_up(box, [])
    figures = watch.latency(box)
    assert figures.warmup_runs == 0
    assert figures.p50.value is figures.mean.value is figures.reference_ratio.value is None
    assert figures.stages == {}


def test_times_that_are_no_numbers_are_left_out() -> None:
    watch = Stopwatch()
    for stages in ({"forward": float("nan")}, {"forward": 0.5}, {"forward": 0.5}):
        found = Detections(EMPTY.boxes, EMPTY.labels, EMPTY.scores, stages=stages)
        watch.add(Answer(found, 1.0))
    assert watch._stage("forward").value == 500.0
