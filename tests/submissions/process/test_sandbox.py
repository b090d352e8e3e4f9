import os
import signal
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnx
import psutil
import pytest
from onnx import TensorProto, helper
from refusals import refused
from small_networks import (
    BOXES,
    LABELS,
    SCORES,
    MeanDetector,
    NoisyDetector,
    RaisingDetector,
    constant_detector,
    endless_detector,
    greedy_detector,
    manifest,
    write_torchscript,
)

from wildbench.errors import (
    DetectorCrashed,
    DetectorError,
    DetectorOutOfMemory,
    DetectorTimedOut,
    WrongOutput,
)
from wildbench.submissions.process import Sandbox, open_submission

pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit:FutureWarning")

IMAGE = np.random.default_rng(2).integers(0, 256, (24, 40, 3), dtype=np.uint8)


@pytest.fixture
def constant(tmp_path: Path) -> Path:
    return constant_detector(tmp_path / "constant.onnx")


@pytest.fixture(scope="module")
def noisy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    path = write_torchscript(tmp_path_factory.mktemp("noisy") / "noisy.pt", NoisyDetector(), manifest())
    with Sandbox(path, threads=1) as box:
        yield box


def test_detections_come_back_bit_for_bit(constant: Path) -> None:
    with Sandbox(constant, threads=1) as box:
        answer = box.predict(IMAGE)
        assert (box.admitted.format.name, box.device, box.manifest) == ("onnx", "cpu", manifest())
    found = answer.detections
    np.testing.assert_array_equal(found.boxes, BOXES)
    np.testing.assert_array_equal(found.labels, LABELS)
    np.testing.assert_array_equal(found.scores, SCORES)
    assert 0 < sum(answer.stages.values()) < answer.seconds


def test_the_child_sees_the_pixels_of_each_image(noisy: Sandbox, tmp_path: Path) -> None:
    """Small, large and small again: the shared file grows, and nothing of an earlier image stays."""
    here = open_submission(noisy.path, threads=1)
    random = np.random.default_rng(8)
    for height, width in ((24, 40), (1200, 1600), (24, 40), (30, 31)):
        image = random.integers(0, 256, (height, width, 3), dtype=np.uint8)
        there = noisy.predict(image[:, ::-1][:, ::-1]).detections
        assert there.scores.tolist() == here.predict(image).scores.tolist()


def test_what_a_detector_prints_is_not_in_the_way(noisy: Sandbox, capfd: pytest.CaptureFixture[str]) -> None:
    assert len(noisy.predict(IMAGE).detections) == 1
    assert "please wait" not in "".join(capfd.readouterr())


def test_the_child_is_told_little(noisy: Sandbox) -> None:
    noisy.ready()  # before, the last process may be one that only starts it
    child = psutil.Process(noisy.pid)
    environment = child.environ()
    assert set(environment) - {"LC_CTYPE", "PWD"} <= {
        "PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER",
        "PYTHONPATH", "HOME", "TMPDIR", "OMP_NUM_THREADS",
    }  # fmt: skip
    folder = Path(child.cwd())
    assert list(folder.iterdir()) == []
    assert folder != Path.cwd()
    assert not [file.path for file in child.open_files() if "tests" in file.path]
    noisy.predict(IMAGE)


def test_functions_of_wildbench_run_in_the_child(constant: Path) -> None:
    with Sandbox(constant, threads=1) as box:
        answer = box.call("wildbench.measures.latency:describe")
        assert answer["device"] == "cpu"
        assert answer["peak_memory"] is None  # of an accelerator; of the process the parent reads it
        assert 2**20 < (box.peak_memory or 0) < 300 * 2**20  # no torch is in the process of an ONNX graph
        with pytest.raises(ValueError, match="only functions of wildbench"):
            box.call("os:getpid")
        with refused("detector/raised", kind=DetectorCrashed):
            box.call("wildbench.submissions.process._child:no_such_function")


@pytest.mark.skipif(not Path("/proc/self/oom_score_adj").exists(), reason="Linux alone has it")
def test_where_memory_runs_out_the_child_goes_first(constant: Path) -> None:
    with Sandbox(constant, threads=1) as box:
        box.ready()
        assert Path(f"/proc/{box.pid}/oom_score_adj").read_text().strip() == "1000"


def test_a_child_that_has_ended_is_not_ended_again(constant: Path) -> None:
    """Its number may be another process's by then; here one takes its place."""
    command = [sys.executable, "-c", "input()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True) as other:
        with Sandbox(constant, threads=1) as box:
            box.ready()
            psutil.Process(box.pid).kill()
            with refused("detector/killed", kind=DetectorOutOfMemory):
                box.predict(IMAGE)
            box._process = other  # type: ignore[assignment]
        assert other.poll() is None
        other.communicate(b"\n")
    assert other.returncode == 0


def test_the_child_ends_with_the_block(constant: Path) -> None:
    with Sandbox(constant, threads=1) as box:
        box.ready()
        child = psutil.Process(box.pid)
        folder = Path(child.cwd())
        assert child.is_running()
    assert not child.is_running()
    assert not folder.exists()
    with refused("detector/ended", kind=DetectorCrashed):
        box.predict(IMAGE)


def test_threads_are_as_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = constant_detector(tmp_path / "a.onnx")
    assert Sandbox(path, threads=3).threads == 3
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    assert Sandbox(path).threads == 7
    monkeypatch.delenv("OMP_NUM_THREADS")
    assert Sandbox(path).threads == len(os.sched_getaffinity(0))


def ends_with(error: type[DetectorError], code: str, path: Path, **options: object) -> str:
    """The detector fails in one line, which is returned, and its process is gone."""
    with Sandbox(path, threads=1, **options) as box:  # type: ignore[arg-type]
        child = psutil.Process(box.pid)
        with refused(f"detector/{code}", kind=error) as caught:
            box.predict(IMAGE)
        assert caught.value.what.startswith(f"{path.name}: ")
        assert not child.is_running()
        with refused("detector/ended", kind=DetectorCrashed):
            box.predict(IMAGE)
    return str(caught.value)


def test_a_hang_is_cut_off(tmp_path: Path) -> None:
    with Sandbox(endless_detector(tmp_path / "a.onnx"), threads=1) as box:
        box.ready()
        box.timeout_s = 0.5
        child = psutil.Process(box.pid)
        with refused("detector/timed-out", kind=DetectorTimedOut):
            box.predict(IMAGE)
        assert not child.is_running()


def test_a_terabyte_is_too_much(tmp_path: Path) -> None:
    ends_with(DetectorOutOfMemory, "out-of-memory", greedy_detector(tmp_path / "a.onnx", 2**42))


def test_a_limit_of_memory_is_kept(tmp_path: Path) -> None:
    path = greedy_detector(tmp_path / "a.onnx", 2**26)
    ends_with(DetectorOutOfMemory, "out-of-memory", path, memory_bytes=200 * 2**20)
    small = greedy_detector(tmp_path / "b.onnx", 2**10)
    ends_with(WrongOutput, "outputs", small, memory_bytes=200 * 2**20)


def test_each_wrong_output_ends_the_detector(tmp_path: Path) -> None:
    for number, (change, code) in enumerate(
        [
            ({"boxes": np.full((2, 4), np.nan, np.float32)}, "not-finite"),
            ({"boxes": np.zeros((3, 4), np.float32)}, "shape"),
            ({"labels": np.array([1, 3])}, "invalid-labels"),
            ({"labels": np.array([1, 1.5], np.float32)}, "invalid-labels"),
            ({"scores": np.array([3, -7], np.float32)}, "invalid-scores"),
        ]
    ):
        ends_with(WrongOutput, code, constant_detector(tmp_path / f"{number}.onnx", **change))


def test_candidates_without_area_are_counted(tmp_path: Path) -> None:
    path = constant_detector(tmp_path / "a.onnx", boxes=np.array([[9, 0, 3, 5], [0, 0, 1, 1]], np.float32))
    with Sandbox(path, threads=1) as box:
        found = box.predict(np.zeros((24, 40, 3), np.uint8)).detections
    assert (found.dropped, found.labels.tolist()) == (1, [1])


def test_an_exception_is_one_line(tmp_path: Path) -> None:
    path = write_torchscript(tmp_path / "a.pt", RaisingDetector(), manifest())
    assert "the anchors do not fit" in ends_with(DetectorCrashed, "raised", path)


def test_an_input_of_another_size_is_one_line(tmp_path: Path) -> None:
    path = constant_detector(tmp_path / "a.onnx")
    model = onnx.load(path)
    model.graph.input[0].CopyFrom(helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, 416, 416]))
    onnx.save(model, path)
    assert "Expected: 416" in ends_with(DetectorCrashed, "raised", path)


@pytest.mark.parametrize(
    ("number", "error", "code"),
    [
        (signal.SIGKILL, DetectorOutOfMemory, "killed"),
        (signal.SIGSEGV, DetectorCrashed, "ended"),
        (signal.SIGABRT, DetectorCrashed, "ended"),
    ],
)
def test_a_process_that_dies_while_it_detects(
    constant: Path, number: int, error: type[DetectorError], code: str
) -> None:
    with Sandbox(constant, threads=1) as box, ThreadPoolExecutor(1) as pool:
        box.ready()
        child = psutil.Process(box.pid)
        child.suspend()
        answer = pool.submit(box.predict, IMAGE)
        child.send_signal(number)
        child.resume()
        with refused(f"detector/{code}", kind=error):
            answer.result(timeout=20)
        assert not child.is_running()


def test_a_file_that_cannot_be_opened_is_one_line(tmp_path: Path) -> None:
    path = write_torchscript(tmp_path / "a.pt", MeanDetector(), manifest())
    changed = tmp_path / "b.pt"
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(changed, "w") as target:
        for entry in source.infolist():
            target.writestr(entry, b"\x80\x02N." if entry.filename.endswith("data.pkl") else source.read(entry))
    with refused("submission/cannot-open"), Sandbox(changed) as box:
        box.ready()


def test_a_device_that_is_not_there_is_refused(constant: Path) -> None:
    with refused("submission/no-such-device"), Sandbox(constant, device="cuda:99") as box:
        box.ready()


def test_the_child_starts_while_the_caller_works(constant: Path) -> None:
    with Sandbox(constant, threads=1) as box:
        assert box._device is None, "nobody has waited yet"
        assert psutil.Process(box.pid).is_running()
        assert box.device == "cpu"


def test_what_is_not_an_image_is_a_bug_of_the_caller(constant: Path) -> None:
    with Sandbox(constant, threads=1) as box:
        for shape, dtype in (((4, 4, 3), np.float32), ((4, 4), np.uint8), ((0, 4, 3), np.uint8), ((4, 4, 4), np.uint8)):
            with pytest.raises(ValueError, match="an image is uint8, H x W x 3"):
                box.predict(np.zeros(shape, dtype))
        assert len(box.predict(IMAGE).detections) == 2
