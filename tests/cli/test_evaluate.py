"""The command line as a person uses it: one line for a mistake, exit code 2."""

import contextlib
import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from commands import Run
from made_up_findings import folder_of_findings
from PIL import Image

import wildbench
import wildbench.files
from wildbench.cli import app
from wildbench.detectors.zoo import _zoo
from wildbench.resources import bundled
from wildbench.submissions.inspection import inspect_submission

DETECTOR = "ssdlite320_mobilenet_v3_large"


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


WITHOUT_TORCH = """
import sys
from wildbench.cli import main
for line in sys.argv[1:]:
    sys.argv = ["wildbench", *line.split()]
    try:
        main()
    except SystemExit as ended:
        heavy = [name for name in ("torch", "fiftyone", "pandas", "onnx", "cv2", "numpy") if name in sys.modules]
        print(f"\\0{line.partition(' ')[0]}: {ended.code} {' '.join(heavy)}", file=sys.stderr)
"""


def test_help_imports_nothing_heavy_and_what_runs_no_detector_imports_no_torch(coco: Path, tmp_path: Path) -> None:
    perfect(coco, tmp_path / "p.json")
    lines = [
        "--help",
        "data --help",
        "data list",
        "data info parksim",
        f"data validate {coco}",
        f"score p.json --dataset {coco} --out a.json",
        f"compare a.json a.json --dataset {coco}",
        f"leaderboard add a.json --dataset {coco}",
        "leaderboard build",
        "leaderboard export --to csv",
    ]
    command = [sys.executable, "-c", WITHOUT_TORCH, *lines]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    ends = [part.splitlines()[0] for part in result.stderr.split("\0")[1:]]
    assert ends[:2] == ["--help: 0 ", "data: 0 "]
    assert [end for end in ends if " 0" not in end or "torch" in end or "fiftyone" in end] == [], result.stderr
    for verb in ("demo", "evaluate", "score", "inspect", "train", "data"):
        assert f"  {verb} " in result.stdout


@pytest.fixture(scope="module")
def evaluated(coco: Path, submission: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder of `card.json`, and what was printed."""
    folder, printed = tmp_path_factory.mktemp("evaluated"), io.StringIO()
    arguments = ["evaluate", str(submission), "--dataset", str(coco), "--out", str(folder / "card.json")]
    with contextlib.redirect_stdout(printed):
        app(arguments, standalone_mode=False)
    return folder, printed.getvalue()


def test_evaluate_writes_the_card_and_the_detections_it_names(evaluated: tuple[Path, str], submission: Path) -> None:
    folder, printed = evaluated
    card = wildbench.read_scorecard(folder / "card.json")
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
    predictions = folder / card.accuracy.predictions_file
    assert wildbench.files.sha256_of(predictions) == card.accuracy.predictions_sha256
    assert len(json.loads(predictions.read_text())) == card.accuracy.detections
    assert "zebra" in printed


def test_the_detections_score_the_same_without_the_model(run: Run, coco: Path, evaluated: tuple[Path, str]) -> None:
    folder, _ = evaluated
    assert run("score", folder / "card.predictions.json", "--dataset", coco, "--out", "b.json").status == 0
    measured, scored = wildbench.read_scorecard(folder / "card.json"), wildbench.read_scorecard(Path("b.json"))
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


def test_the_default_card_stands_in_scorecards(run: Run, coco: Path, tmp_path: Path) -> None:
    result = run("score", perfect(coco, tmp_path / "p.json"), "--dataset", coco)
    assert result.status == 0, result.stderr
    assert (tmp_path / "scorecards" / "p.score.json").exists()
    assert (tmp_path / "scorecards" / "p.score.predictions.json").exists()


def test_score_merges_categories_and_leaves_out_unknown_ones(run: Run, coco: Path, tmp_path: Path) -> None:
    perfect(coco, tmp_path / "p.json")
    cases = {
        ("--merge", "cat=lion"): (["cat", "zebra"], []),
        ("--class-agnostic",): (["animal"], []),
        ("--known", "lion"): (["lion", "zebra"], ["zebra"]),
    }
    for options, (categories, unknown) in cases.items():
        result = run("score", "p.json", "--dataset", coco, "--out", "a.json", *options)
        assert result.status == 0, result.stderr
        card = wildbench.read_scorecard(Path("a.json"))
        assert (sorted(card.dataset.categories), card.accuracy.unknown_categories) == (categories, unknown)


def test_a_detector_that_shares_no_category_is_refused_and_nothing_written(
    run: Run, coco: Path, tmp_path: Path
) -> None:
    wildbench.save_submission(_zoo.build(DETECTOR, 1), tmp_path / "cars.pt", detector=DETECTOR, categories=["car"])
    result = run("evaluate", "cars.pt", "--dataset", coco, "--out", "out/card.json")
    result.refused("none of its 1 categories", "category_map")
    assert not (tmp_path / "out").exists()


def test_a_pickled_module_is_refused_with_the_way_out(run: Run, coco: Path, tmp_path: Path) -> None:
    torch.save(torch.nn.Conv2d(3, 3, 1), tmp_path / "model.pt")
    run("evaluate", "model.pt", "--dataset", coco).refused("model.pt", "save_submission")


MISSING: dict[tuple[str, ...], tuple[str, ...]] = {
    ("evaluate", "none.pt"): ("none.pt",),
    ("inspect", "none.onnx"): ("none.onnx",),
    ("score", "none.json", "--dataset", "parksim"): ("none.json",),
    ("score", "none.json", "--dataset", "serengeti"): ("serengeti", "parksim"),
    ("data", "validate", "none.json"): ("none.json",),
    ("data", "generate", "serengeti"): ("serengeti", "parksim"),
    ("data", "info", "serengeti"): ("serengeti", "parksim"),
    ("train", "none.toml", "-o", "x.pt"): ("none.toml",),
}


def test_what_is_missing_is_named_in_one_line(run: Run, tmp_path: Path) -> None:
    for arguments, parts in MISSING.items():
        result = run(*arguments)
        result.refused(*parts)
        assert len(result.stderr.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_inspect_shows_bytes_that_sum_to_the_file(run: Run, submission: Path, tmp_path: Path) -> None:
    result = run("inspect", submission)
    assert result.status == 0, result.stderr
    assert f"{submission.stat().st_size:,}" in result.stdout
    assert "lion, zebra" in result.stdout
    every = run("inspect", submission, "--all")
    tensors = inspect_submission(submission).tensors
    assert tensors is not None
    assert f"the largest 12 of {len(tensors)} tensors" in result.stdout
    assert f"all {len(tensors)} tensors" in every.stdout
    assert every.stdout.count(" float32 ") - result.stdout.count(" float32 ") > 12


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return folder_of_findings(tmp_path)


def test_scoring_says_what_is_odd_in_one_line_and_keeps_it(run: Run, folder: Path) -> None:
    result = run("score", "corners.json", "--dataset", "herd.json", "--out", "card.json")
    assert result.status == 0, result.stderr
    (line,) = result.stderr.splitlines()
    assert line.startswith("wildbench: warning detections-xyxy: all 10 detections: read as [x1, y1, x2, y2]")
    assert json.loads((folder / "card.json").read_text())["notes"] == [line.removeprefix("wildbench: ")]


def test_scoring_honest_detections_says_nothing(run: Run, folder: Path) -> None:
    result = run("score", "honest.json", "--dataset", "herd.json", "--out", "card.json")
    assert (result.status, result.stderr) == (0, "")
    assert json.loads((folder / "card.json").read_text())["notes"] == []


def test_scoring_refuses_in_one_line_with_the_code(run: Run, folder: Path) -> None:
    result = run("score", "percent.json", "--dataset", "herd.json")
    result.refused("percent.json: [0]: score 50", "score-range", "10 errors", "divide by 100")
    assert len(result.stderr.splitlines()) == 1


CARDS = [str(bundled(f"baselines/scorecards/{name}.json")) for name in ("reference", "reference-tiny")]


def test_two_cards_are_tables_and_two_sentences(run: Run, tmp_path: Path) -> None:
    result = run("compare", *CARDS, "--difference", "2", "--difference", "0.1", "--out", "found.json")
    assert result.status == 0, result.stderr
    assert "paired draws of 5 locations" in result.stdout
    assert "2 points" in result.stdout
    assert "0.1 points" in result.stdout
    *tables, accuracy, advice = result.stdout.splitlines()
    assert max(map(len, tables)) <= 100
    assert accuracy.startswith("reference-tiny against reference, AP: not distinguishable on 327 boxes; ")
    assert advice.startswith("reference-tiny: keep 0.55: ")
    assert json.loads((tmp_path / "found.json").read_text())["boxes"] == 327


def test_a_card_to_compare_that_is_none_is_one_line(run: Run, tmp_path: Path) -> None:
    (tmp_path / "card.json").write_text("{}")
    result = run("compare", CARDS[0], "card.json", "--out", "found.json")
    result.refused("card.json: ")
    assert len(result.stderr.splitlines()) == 1
    assert not (tmp_path / "found.json").exists()
