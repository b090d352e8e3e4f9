"""One point of a sweep: made, evaluated and compared with its dense parent, in a folder of its own.

`point.json` is written last and says what the point depended on, and the hash of every file. Where it says the same
again, nothing is done; where it is missing, damaged or says something else, the folder is cleared and the point starts
anew.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib.metadata import version
from pathlib import Path

from wildbench.comparison import Comparison, compare
from wildbench.compression.chain import run as run_chain
from wildbench.compression.recipes import Recipe
from wildbench.datasets.registry import load_dataset
from wildbench.detectors import load_recipe
from wildbench.evaluation import evaluate
from wildbench.files import sha256_of, write_atomically
from wildbench.measures.uncertainty import REPLICATES
from wildbench.progress import Progress, silent
from wildbench.scorecard import Record, Scorecard, read_scorecard
from wildbench.sweeps.grid import Plan

MARK = "point.json"
DENSE, POINTS = "dense", "points"
COMPARISON = "comparison.json"


@dataclass(frozen=True)
class Bench:
    """What all points of a sweep share.

    Attributes:
        folder: Of the sweep; every point has one in it.
        dataset: What is scored on: a registered name, or the path of a COCO JSON.
        split: Of a registered data set.
        images: Folder of the images, where it is not near the JSON.
        training: What steps calibrate and train on, instead of the recipes'; None for these.
        device: "auto", "cpu", "cuda" or "cuda:N".
        replicates: Of the paired bootstrap.
        progress: Called as `progress(task, done, total)`.
    """

    folder: Path
    dataset: str
    split: str = "test"
    images: Path | None = None
    training: str | None = None
    device: str = "auto"
    replicates: int = REPLICATES
    progress: Progress = silent

    @cached_property
    def scored_on(self) -> str:
        """Hash of the labels that are scored on."""
        return _labels(self.dataset, self.split)

    def trained_on(self, recipe: Recipe) -> str:
        """Hash of the labels that a recipe's steps see; "none" where they see none."""
        return _labels(self.training or recipe.data.dataset, recipe.data.split) if recipe.needs_data else "none"


class Mark(Record):
    """That a folder is finished: what its files followed from, and their hashes."""

    depends: dict[str, str]
    files: dict[str, str]


@dataclass(frozen=True)
class Point:
    """A point that was run.

    Attributes:
        plan: What was asked.
        card: Its record.
        comparison: With its dense parent.
    """

    plan: Plan
    card: Scorecard
    comparison: Comparison


def run_dense(dense: Path, bench: Bench) -> Path:
    """Evaluate a dense parent, unless that was done.

    Returns:
        Its scorecard.

    Raises:
        WildbenchError: What the user can mend.
    """
    folder = bench.folder / DENSE / dense.stem
    card, depends = folder / f"{dense.stem}.json", {"sha256": sha256_of(dense), **_common(bench)}
    if not is_done(folder, depends):
        _clear(folder)
        _evaluate(dense, card, bench)
        _mark(folder, depends)
    return card


def run_point(plan: Plan, dense_card: Path, bench: Bench) -> Point:
    """Make, evaluate and compare one point, unless that was done.

    Args:
        plan: What to do.
        dense_card: Scorecard of its dense parent.
        bench: What all points share.

    Raises:
        WildbenchError: What the user can mend, or a method that this detector cannot have done to it.
    """
    folder = bench.folder / POINTS / plan.name
    card, depends = folder / f"{plan.name}.json", depends_on(plan, bench)
    if not is_done(folder, depends):
        _clear(folder)
        made = folder / f"{plan.name}.{plan.format}"
        training = bench.training if plan.recipe.needs_data else None
        run_chain(
            plan.recipe,
            plan.dense,
            made,
            dataset=training,
            images=bench.images if training else None,
            seed=plan.seed,
            device=bench.device,
            progress=bench.progress,
        )
        _evaluate(made, card, bench)
        compare([dense_card, card], dataset=bench.dataset, replicates=bench.replicates).write(folder / COMPARISON)
        _mark(folder, depends)
    found = Comparison.model_validate_json((folder / COMPARISON).read_text(encoding="utf-8"))
    return Point(plan, read_scorecard(card), found)


def _evaluate(submission: Path, card: Path, bench: Bench) -> None:
    evaluate(
        submission,
        dataset=bench.dataset,
        images=bench.images,
        split=bench.split,
        device=bench.device,
        out=card,
        progress=bench.progress,
    )


def _common(bench: Bench) -> dict[str, str]:
    return {"scored_on": bench.scored_on, "device": bench.device, "wildbench": version("wildbench")}


def depends_on(plan: Plan, bench: Bench) -> dict[str, str]:
    """All that a point follows from, but the machine."""
    return {
        "recipe": plan.recipe.digest,
        "like": _augmentations(plan.recipe),
        "seed": str(plan.seed),
        "dense": sha256_of(plan.dense),
        "trained_on": bench.trained_on(plan.recipe),
        "replicates": str(bench.replicates),
        **_common(bench),
    }


def _augmentations(recipe: Recipe) -> str:
    """What the training recipes say now that steps name by their paths."""
    named = [getattr(step.settings, "like", None) for step in recipe.steps]
    return "\n".join(load_recipe(like).augmentation.model_dump_json() for like in named if like is not None)


def is_done(folder: Path, depends: dict[str, str]) -> bool:
    """Whether the folder holds what was finished and depended on the same, every file as it was left."""
    try:
        mark = Mark.model_validate_json((folder / MARK).read_bytes())
    except (OSError, ValueError):  # pydantic's error is a ValueError
        return False
    return mark.depends == depends and mark.files.items() <= _files(folder).items()


def _files(folder: Path) -> dict[str, str]:
    return {path.name: sha256_of(path) for path in folder.iterdir() if path.is_file() and path.name != MARK}


def _clear(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)


def _mark(folder: Path, depends: dict[str, str]) -> None:
    mark = Mark(depends=depends, files=dict(sorted(_files(folder).items())))
    write_atomically(folder / MARK, f"{mark.model_dump_json(indent=2)}\n".encode())


@lru_cache(maxsize=32)
def _labels(dataset: str, split: str) -> str:
    return load_dataset(dataset, split=split, with_images=False).sha256
