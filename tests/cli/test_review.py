import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pymongo
import pytest
from commands import Run
from PIL import Image

WILDBENCH = [sys.executable, "-c", "from wildbench.cli import main; main()"]


def make(folder: Path) -> Path:
    Image.new("RGB", (40, 30)).save(folder / "a.jpg")
    coco = {
        "images": [{"id": 1, "file_name": "a.jpg", "width": 40, "height": 30}],
        "categories": [{"id": 1, "name": "lion"}, {"id": 2, "name": "bird"}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [4, 5, 20, 20]}],
    }
    (folder / "set.json").write_text(json.dumps(coco))
    return folder / "set.json"


def test_without_fiftyone_one_line_says_how_to_get_it_and_the_rest_works(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WILDBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setitem(sys.modules, "fiftyone", None)
    run("review", "--dataset", make(tmp_path)).refused("fiftyone is not installed", "missing-extra/review")
    assert run("data", "list").status == 0
    assert run("data", "patch", "--help").status == 0


def test_apply_asks_for_the_author(run: Run, tmp_path: Path) -> None:
    run("review", "--dataset", make(tmp_path), "--apply").refused("--author", "curation/no-author")


def test_conflicts_are_named_a_line_each_and_nothing_is_written(run: Run, tmp_path: Path) -> None:
    coco = make(tmp_path)
    change = {
        "annotation_id": 1,
        "image_id": 1,
        "file_name": "a.jpg",
        "old": {"category": "bird"},
        "new": {"category": "lion"},
        "author": "A",
        "reason": "mane",
    }
    patch = {"format_version": 1, "dataset": "set", "dataset_sha256": "0" * 64, "changes": [change]}
    (tmp_path / "p.json").write_text(json.dumps(patch))
    result = run("data", "patch", coco, "p.json", "-o", "new.json")
    assert result.status == 2
    first, second = result.stderr.strip().splitlines()
    assert first.startswith("wildbench: p.json: made for labels 000000000000, but these are ")
    assert second == ('wildbench: p.json: box 1 of a.jpg: category is "lion", not "bird": somebody else has changed it')
    assert not (tmp_path / "new.json").exists()


@pytest.mark.slow
def test_review_serves_until_ctrl_c_then_an_edit_becomes_a_patch_and_the_patch_labels(run: Run, tmp_path: Path) -> None:
    coco = make(tmp_path)
    (tmp_path / "found.json").write_text(
        json.dumps([{"image_id": 1, "category_id": 2, "bbox": [4, 5, 20, 20], "score": 0.9}])
    )
    arguments = ["review", "--dataset", coco, "--predictions", "found.json", "--port", "0", "--quick"]
    environment = os.environ | {"WILDBENCH_CACHE": str(tmp_path / "cache"), "PYTHONUNBUFFERED": "1"}
    environment |= {"PATH": str(tmp_path), "DISPLAY": ""}  # no xdg-open, no browser: the address has to be enough
    with subprocess.Popen(
        [*WILDBENCH, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        env=environment,
        start_new_session=True,
    ) as review:
        assert review.stdout is not None
        assert review.stderr is not None
        said = []
        for line in review.stdout:
            said.append(line)
            if "http://127.0.0.1:" in line:
                break
        children = psutil.Process(review.pid).children(recursive=True)
        relabel(next(child for child in children if child.name() == "mongod"), "bird")
        os.killpg(review.pid, signal.SIGINT)  # as Ctrl-C does: to all that run in the terminal
        errors = review.stderr.read()
    progress, last = errors.strip().splitlines()
    assert "1/1" in progress
    assert last == "edits are kept; bring them back by: wildbench review --apply --author NAME"
    assert review.returncode == 0
    assert any("likely wrong labels" in line for line in said)
    assert psutil.wait_procs(children, timeout=60)[1] == []
    options = ["review", "--dataset", str(coco), "--apply", "--author", "A", "--reason", "r", "-o", "p.json"]
    applied = subprocess.run([*WILDBENCH, *options], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert (applied.returncode, applied.stdout.strip()) == (0, "p.json: 1 change"), applied.stderr
    patched = run("data", "patch", coco, "p.json", "-o", "new.json")
    assert (patched.status, patched.stdout.strip()) == (0, "new.json: 1 change applied"), patched.stderr
    (box,) = json.loads((tmp_path / "new.json").read_text())["annotations"]
    assert (box["category_id"], box["bbox"]) == (2, [4, 5, 20, 20])


def relabel(mongod: psutil.Process, label: str) -> None:
    """Change the first box of every image, in the database itself."""
    (port,) = {c.laddr.port for c in mongod.net_connections("tcp") if c.status == psutil.CONN_LISTEN}
    with pymongo.MongoClient("127.0.0.1", port) as client:
        database = client["wildbench"]
        (samples,) = [name for name in database.list_collection_names() if name.startswith("samples.")]
        database[samples].update_many({}, {"$set": {"ground_truth.detections.0.label": label}})
