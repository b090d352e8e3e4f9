"""What the documents say is what the code and the committed records say."""

import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rich.console import Console
from scoring import measure_accuracy
from typer.main import get_command

from wildbench.cli import app
from wildbench.cli.demo import SUBMISSIONS
from wildbench.cli.tables import scorecards_table
from wildbench.comparison import compare
from wildbench.datasets.registry import load_dataset
from wildbench.files import sha256_of
from wildbench.resources import bundled
from wildbench.scorecard import Scorecard, read_scorecard
from wildbench.submissions.archive._archive import read_submission
from wildbench.sweeps.record import read_summary

REPOSITORY = Path(__file__).parents[1]
README = (REPOSITORY / "README.md").read_text(encoding="utf-8")
DOCUMENTS = sorted(
    path
    for folder in (".", "docs", "baselines", "studies", "annotations")
    for path in (REPOSITORY / folder).glob("*.md")
)
NAMES = ("reference", "reference-tiny")


@pytest.fixture(scope="module")
def cards() -> list[Scorecard]:
    return [read_scorecard(bundled(f"baselines/scorecards/{name}.json")) for name in NAMES]


def test_the_readme_shows_the_table_of_the_committed_scorecards(cards: list[Scorecard]) -> None:
    console = Console(width=100, file=io.StringIO(), legacy_windows=False)
    console.print(scorecards_table(cards))
    assert isinstance(console.file, io.StringIO)
    printed = "\n".join(line.rstrip() for line in console.file.getvalue().splitlines())
    assert f"<!-- demo table -->\n```\n{printed}\n```\n<!-- end -->" in README


def test_the_readme_s_verdict_is_that_of_the_committed_scorecards() -> None:
    cards = [bundled(f"baselines/scorecards/{name}.json") for name in NAMES]
    row = compare(cards, threshold=SUBMISSIONS[NAMES[0]]).rows[0]
    assert row.field
    ranger = f"{NAMES[1]} in place of {NAMES[0]}: {row.field.sentence()}"
    assert f"<!-- sentence -->\n```\n{ranger}\n```\n<!-- end -->" in README
    sentence = f"{NAMES[1]} against {NAMES[0]}, AP: {row.overall['ap'].verdict}"
    assert f"<!-- verdict -->\n```\n{sentence}\n```\n<!-- end -->" in README


def test_the_committed_scorecards_are_of_the_bundled_files(cards: list[Scorecard]) -> None:
    for name, card in zip(NAMES, cards, strict=True):
        assert card.submission.sha256 == sha256_of(bundled(f"baselines/{name}.pt"))


def test_the_committed_accuracy_follows_from_the_committed_detections(cards: list[Scorecard]) -> None:
    data = load_dataset("parksim", split="test", with_images=False)
    for card in cards:
        path = bundled(f"baselines/scorecards/{card.accuracy.predictions_file}")
        results = json.loads(path.read_text())
        again = measure_accuracy(data, results)
        again = again.model_copy(update={"predictions_file": path.name, "predictions_sha256": sha256_of(path)})
        assert again == card.accuracy
        assert card.dataset.sha256 == data.sha256


def test_the_compressed_reference_is_that_of_the_results_pruned_and_shared() -> None:
    dense, tiny = (read_submission(bundled(f"baselines/{name}.pt")) for name in NAMES)
    assert tiny.manifest.parent == sha256_of(bundled("baselines/reference.pt"))
    assert dense.tensors.keys() == tiny.tensors.keys()
    weights = {name: tensor for name, tensor in tiny.tensors.items() if tensor.dim() > 1}
    assert sum(map(torch.numel, weights.values())) < 0.6 * sum(dense.tensors[name].numel() for name in weights)
    for name, tensor in weights.items():
        assert len(tensor.unique()) <= (32 if tensor.numel() >= 4096 else 256), name
    strength = read_summary(REPOSITORY / "baselines" / "sweeps" / "strength.json")
    (point,) = [one for one in strength.points if one.recipe == "deep-compression"]
    assert point.sha256 == sha256_of(bundled("baselines/reference-tiny.pt")), "README and RESULTS.md speak of one file"
    assert 12 * bundled("baselines/reference-tiny.pt").stat().st_size < bundled("baselines/reference.pt").stat().st_size


def test_every_link_leads_to_a_file_and_every_anchor_to_a_heading() -> None:
    for document in DOCUMENTS:
        for target, anchor in re.findall(r"\]\(([^)#\s]*)(?:#([^)\s]+))?\)", document.read_text(encoding="utf-8")):
            if not target.startswith("http"):
                path = document.parent / target if target else document
                assert path.exists(), f"{document.name}: {target}"
                assert not anchor or anchor in anchors(path), f"{document.name}: {target}#{anchor}"


def anchors(document: Path) -> list[str]:
    """GitHub's anchors of the headings."""
    headings = re.findall(r"^#+ (.*)$", document.read_text(encoding="utf-8"), re.M)
    return [re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings]


def test_every_command_that_is_shown_exists() -> None:
    groups = command_groups()
    for document in DOCUMENTS:
        text = document.read_text(encoding="utf-8")
        blocks = "\n".join(re.findall(r"^```\w*\n(.*?)^```", text, re.M | re.S))
        shown = re.findall(r"^(?:uv run )?wildbench ([a-z]+)(?: ([a-z][a-z-]+))?", blocks, re.M)
        shown += re.findall(r"`(?:uv run )?wildbench\s+([a-z]+)(?:\s+([a-z][a-z-]+))?", text)
        for verb, below in shown:
            assert verb in groups, f"{document.name}: wildbench {verb}"
            assert not groups[verb] or not below or below in groups[verb], f"{document.name}: wildbench {verb} {below}"
        for study in re.findall(r"python\s+-m studies\.(\w+)", text):
            assert study == "NAME" or (REPOSITORY / "studies" / study / "__main__.py").is_file(), document.name


def command_groups() -> dict[str, set[str]]:
    """The verbs of the command line, and of each group of verbs its own."""
    commands = get_command(app).commands  # type: ignore[attr-defined]
    return {name: set(getattr(command, "commands", ())) for name, command in commands.items()}


def test_what_the_readme_shows_of_python_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On three images: an evaluation of a file and of a network, a loop of one's own, and a submission in few lines."""
    calls, submission = (
        code.replace('"parksim"', '"parksim", limit=3') for code in re.findall(r"```python\n(.*?)```", README, re.S)
    )
    assert len([line for line in submission.splitlines() if line]) <= 10
    monkeypatch.chdir(tmp_path)
    (tmp_path / "baselines").symlink_to(REPOSITORY / "baselines")
    names: dict[str, Any] = {}
    exec(compile(submission, "README.md", "exec"), names)
    card = names["card"]
    assert isinstance(card, Scorecard)
    assert card.submission.detector == "ssdlite320_mobilenet_v3_large"
    assert card.dataset.images == 3
    assert card.compute
    assert card.compute.bops
    assert card.compute.bops.value == 16 * 32 * (card.compute.macs.value or 0)  # stored by the codec fp16
    assert sorted(path.name for path in tmp_path.iterdir()) == ["baselines", "submission.pt"], "nothing else is written"
    boxes, scores, labels = np.array([[8.0, 8.0, 64.0, 48.0]]), np.array([0.5]), np.array([1])
    mine = {"model": names["model"].eval(), "names": names["animals"], "detect": lambda pixels: (boxes, scores, labels)}
    exec(compile(calls, "README.md", "exec"), mine)
    assert mine["card"].dataset.images == 3
