"""The command line as a person uses it: real processes, one line for a mistake, exit code 2."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import wildbench
import wildbench.files
from wildbench.detectors.zoo import _zoo
from wildbench.submissions.inspection import inspect_submission

DETECTOR = "ssdlite320_mobilenet_v3_large"


def run(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from wildbench.cli import main; main()", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True)


def refused(result: subprocess.CompletedProcess[str], *words: str) -> None:
    assert result.returncode == 2, result.stderr
    assert result.stderr.startswith("wildbench: ")
    assert len(result.stderr.splitlines()) == 1
    for word in words:
        assert word in result.stderr


@pytest.fixture(scope="module")
def coco(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six photographs of noise with a zebra and, in every second one, a lion."""
    folder = tmp_path_factory.mktemp("herd")
    generator = np.random.default_rng(0)
    images, annotations = [], []
    for number in range(1, 7):
        name = f"{number}.jpg"
        Image.fromarray(generator.integers(0, 255, (96, 128, 3), np.uint8)).save(folder / name)
        images.append({"id": number, "file_name": name, "width": 128, "height": 96})
        for category in (1, 2) if number % 2 else (1,):
            box = [10 * category, 8, 40, 30]
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number,
                    "category_id": category,
                    "bbox": box,
                    "area": 1200,
                    "iscrowd": 0,
                }
            )
    categories = [{"id": 1, "name": "zebra"}, {"id": 2, "name": "lion"}]
    path = folder / "herd.json"
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))
    return path


@pytest.fixture(scope="module")
def submission(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("submission") / "tiny.pt"
    wildbench.save_submission(_zoo.build(DETECTOR, 2), path, detector=DETECTOR, categories=["lion", "zebra"])
    return path


def perfect(coco: Path, path: Path) -> Path:
    """The labels as results, each with the score 1."""
    labels = json.loads(coco.read_text())["annotations"]
    path.write_text(
        json.dumps(
            [{key: label[key] for key in ("image_id", "category_id", "bbox")} | {"score": 1} for label in labels]
        )
    )
    return path


def test_help_imports_nothing_heavy(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom wildbench.cli import app\ntry: app(['--help'])\nexcept SystemExit: pass\n"
        "print([name for name in ('torch', 'fiftyone', 'pandas', 'numpy', 'pydantic') if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    for verb in ("demo", "evaluate", "score", "inspect", "train", "data"):
        assert f"  {verb} " in result.stdout
    assert result.stdout.splitlines()[-1] == "[]"


def test_evaluate_writes_the_card_and_the_detections_it_names(coco: Path, submission: Path, tmp_path: Path) -> None:
    result = run("evaluate", submission, "--dataset", coco, "--out", "card.json", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    card = wildbench.read_scorecard(tmp_path / "card.json")
    assert card.submission.sha256 == wildbench.files.sha256_of(submission)
    assert card.dataset.images == 6
    assert card.accuracy.ap.n == 9
    assert card.size is not None
    assert card.size.file_bytes.value == submission.stat().st_size
    assert card.compute is not None
    assert card.compute.macs.value is not None
    assert card.compute.flops.value == 2 * card.compute.macs.value
    assert card.latency is not None
    assert card.latency.p50.n == 6
    predictions = tmp_path / card.accuracy.predictions_file
    assert wildbench.files.sha256_of(predictions) == card.accuracy.predictions_sha256
    assert len(json.loads(predictions.read_text())) == card.accuracy.detections
    assert "zebra" in result.stdout


def test_the_kept_detections_score_the_same_without_the_model(coco: Path, submission: Path, tmp_path: Path) -> None:
    assert run("evaluate", submission, "--dataset", coco, "--out", "a.json", cwd=tmp_path).returncode == 0
    assert run("score", "a.predictions.json", "--dataset", coco, "--out", "b.json", cwd=tmp_path).returncode == 0
    measured, scored = (wildbench.read_scorecard(tmp_path / name) for name in ("a.json", "b.json"))
    assert scored.accuracy.model_dump(exclude={"predictions_file"}) == measured.accuracy.model_dump(
        exclude={"predictions_file"}
    )
    assert scored.size is None


def test_perfect_detections_score_one(coco: Path, tmp_path: Path) -> None:
    card = wildbench.score(perfect(coco, tmp_path / "p.json"), dataset=coco, out=tmp_path / "card.json")
    assert card.accuracy.ap.value == 1.0
    assert card.accuracy.ap_small.reason == "no small box in the split"


def test_limit_scores_the_first_images_and_says_so(coco: Path, tmp_path: Path) -> None:
    card = wildbench.score(perfect(coco, tmp_path / "p.json"), dataset=coco, limit=2, out=tmp_path / "card.json")
    assert (card.dataset.images, card.dataset.limit, card.accuracy.ap.n) == (2, 2, 3)


def test_the_default_card_stands_in_scorecards(coco: Path, tmp_path: Path) -> None:
    result = run("score", perfect(coco, tmp_path / "p.json"), "--dataset", coco, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "scorecards" / "p.score.json").exists()
    assert (tmp_path / "scorecards" / "p.score.predictions.json").exists()


def test_a_detector_that_shares_no_category_is_refused_and_nothing_written(coco: Path, tmp_path: Path) -> None:
    wildbench.save_submission(_zoo.build(DETECTOR, 1), tmp_path / "cars.pt", detector=DETECTOR, categories=["car"])
    result = run("evaluate", "cars.pt", "--dataset", coco, "--out", "out/card.json", cwd=tmp_path)
    refused(result, "none of its 1 categories", "category_map")
    assert not (tmp_path / "out").exists()


def test_a_pickled_module_is_refused_with_the_way_out(coco: Path, tmp_path: Path) -> None:
    torch.save(torch.nn.Conv2d(3, 3, 1), tmp_path / "model.pt")
    refused(run("evaluate", "model.pt", "--dataset", coco, cwd=tmp_path), "model.pt", "save_submission")


def test_torchscript_needs_trust(coco: Path, tmp_path: Path) -> None:
    torch.jit.trace(torch.nn.Conv2d(3, 3, 1), torch.zeros(1, 3, 8, 8)).save(str(tmp_path / "script.pt"))
    manifest = {"name": "script", "detector": {"name": "a convolution"}, "categories": ["zebra"]}
    (tmp_path / "script.manifest.json").write_text(json.dumps(manifest))
    refused(run("evaluate", "script.pt", "--dataset", coco, cwd=tmp_path), "--trust", "run code")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("evaluate", "none.pt"), ("none.pt",)),
        (("inspect", "none.onnx"), ("none.onnx",)),
        (("score", "none.json", "--dataset", "parksim"), ("none.json",)),
        (("score", "none.json", "--dataset", "serengeti"), ("serengeti", "parksim")),
        (("data", "validate", "none.json"), ("none.json",)),
        (("data", "generate", "serengeti"), ("serengeti", "parksim")),
        (("data", "info", "serengeti"), ("serengeti", "parksim")),
        (("train", "none.toml", "-o", "x.pt"), ("none.toml",)),
    ],
)
def test_what_is_not_there_is_named(arguments: tuple[str, ...], words: tuple[str, ...], tmp_path: Path) -> None:
    refused(run(*arguments, cwd=tmp_path), *words)
    assert list(tmp_path.iterdir()) == []


def test_validate_is_silent_on_an_honest_file_and_names_a_lie(coco: Path, tmp_path: Path) -> None:
    honest = run("data", "validate", coco, "--images", coco.parent, cwd=tmp_path)
    assert (honest.returncode, honest.stdout.strip()) == (0, f"{coco}: no findings")
    document = json.loads(coco.read_text())
    document["annotations"][3]["bbox"] = [10, 8, -40, 30]
    (tmp_path / "lie.json").write_text(json.dumps(document))
    lie = run("data", "validate", "lie.json", cwd=tmp_path)
    assert lie.returncode == 2
    assert "annotations[3]" in lie.stdout
    assert "box-negative-side" in lie.stdout


def test_inspect_shows_bytes_that_sum_to_the_file(submission: Path, tmp_path: Path) -> None:
    result = run("inspect", submission, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert f"{submission.stat().st_size:,}" in result.stdout
    assert "lion, zebra" in result.stdout
    every = run("inspect", submission, "--all", cwd=tmp_path)
    tensors = inspect_submission(submission).tensors
    assert tensors is not None
    assert f"the largest 12 of {len(tensors)} tensors" in result.stdout
    assert f"all {len(tensors)} tensors" in every.stdout
    assert every.stdout.count(" float32 ") - result.stdout.count(" float32 ") > 12


def test_data_list_counts_parksim(tmp_path: Path) -> None:
    result = run("data", "list", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "parksim" in result.stdout
    assert "1309" in result.stdout
