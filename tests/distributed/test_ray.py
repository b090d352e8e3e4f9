"""The same bytes on a real Ray cluster of two nodes, one of which is killed on the way."""

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from refusals import refused
from submissions.made_up_graphs import ULTRALYTICS, graph, yolov8

from wildbench.distributed import detect, merge, write_merged
from wildbench.errors import JobError

pytestmark = pytest.mark.slow
COUNT = 200


@pytest.fixture(scope="module")
def herd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("herd")
    noise = np.random.default_rng(3)
    for number in range(COUNT):
        cv2.imwrite(str(folder / f"{number}.jpg"), noise.integers(0, 256, (64, 64, 3), np.uint8))
    (folder / "7.jpg").write_bytes(b"damaged")
    images = [{"id": at + 1, "file_name": f"{at}.jpg", "width": 64, "height": 64} for at in range(COUNT)]
    coco = {"images": images, "annotations": [], "categories": [{"id": 1, "name": "zebra"}]}
    (folder / "labels.json").write_text(json.dumps(coco))
    graph(folder / "yolo.onnx", {"output0": yolov8()}, metadata=ULTRALYTICS)
    return folder


def merged_bytes(folder: Path) -> bytes:
    out = folder.with_suffix(".json")
    write_merged(merge([folder]), out)
    return out.read_bytes()


def test_a_node_that_is_killed_changes_nothing(herd: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ray.cluster_utils import Cluster

    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    common = {"dataset": herd / "labels.json", "images": herd, "device": "cpu", "workers": 2}
    detect(herd / "yolo.onnx", out=tmp_path / "local", **common)
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    second = cluster.add_node(num_cpus=1)

    def kill() -> None:
        until = time.monotonic() + 120
        while time.monotonic() < until and not list((tmp_path / "ray").glob("job.parquet")):
            time.sleep(0.05)
        time.sleep(3)
        cluster.remove_node(second, allow_graceful=False)

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        ran = detect(herd / "yolo.onnx", out=tmp_path / "ray", engine="ray", address=cluster.address, **common)
    finally:
        killer.join()
        cluster.shutdown()
    assert (ran.images, ran.failed) == (COUNT, 1)
    assert merged_bytes(tmp_path / "ray") == merged_bytes(tmp_path / "local")


def test_a_cluster_that_is_not_there_and_a_detector_that_cannot_be_opened_are_one_line(
    herd: Path, tmp_path: Path
) -> None:
    common = {"dataset": herd / "labels.json", "images": herd, "device": "cpu", "engine": "ray"}
    with refused("job/cluster-unreachable", "127.0.0.1:1", kind=JobError):
        detect(herd / "yolo.onnx", out=tmp_path, address="127.0.0.1:1", **common)
    help_text = subprocess.run(
        [sys.executable, "-c", "from wildbench.cli import main; main()", "detect", "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "ray" in help_text.stdout
