"""Running a sweep: every point is made, evaluated and compared with its dense parent, in a folder of its own.

`point.json` is written last and holds what the point depended on, and the hash of every file. If both are the same
again, nothing is done; otherwise the folder is cleared and the point is made again.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from wildbench.comparison import Comparison, compare
from wildbench.compression.chain import compress
from wildbench.compression.recipes import Recipe
from wildbench.datasets.registry import load_dataset
from wildbench.detectors import load_recipe
from wildbench.errors import RecipeError, WildbenchError
from wildbench.evaluation import evaluate
from wildbench.files import sha256_of, write_atomically
from wildbench.measures.uncertainty import REPLICATES
from wildbench.progress import Progress, silent
from wildbench.scorecard import Record, read_scorecard
from wildbench.sweeps.charts import write_charts
from wildbench.sweeps.grid import Plan, Sweep, check_apart
from wildbench.sweeps.record import Failure, Point, Summary, gather

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
        training: What steps calibrate and train on, instead of the recipes' data.
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
    """That a folder is finished: what its files depended on, and their hashes."""

    depends: dict[str, str]
    files: dict[str, str]


def run_sweep(sweep: Sweep, bench: Bench) -> Summary:
    """Run every point of a grid, and write the sweep's JSON, CSV and charts into its folder.

    A point that fails is in the record with its reason, and the others are run. After an interruption the same call
    goes on with the first point that is not done.

    Raises:
        WildbenchError: A dense parent or the data set cannot be used; a dense parent lies in a folder that the sweep
            clears; a recipe would train or calibrate on what is scored.
    """
    _check_dense(sweep, bench)
    recipes = [plan.recipe for plan in sweep.plans]
    check_apart(recipes, bench.dataset, bench.split, images=bench.images, training=bench.training)
    cards = {dense: run_dense(dense, bench) for dense in sweep.dense}
    points: list[Point] = []
    failed: list[Failure] = []
    bench.progress(f"sweep {sweep.name}", 0, len(sweep.plans))
    for done, plan in enumerate(sweep.plans, 1):
        try:
            points.append(run_point(plan, cards[plan.dense], bench))
        except WildbenchError as error:
            failed.append(Failure(name=plan.name, reason=str(error)))
        bench.progress(f"sweep {sweep.name}", done, len(sweep.plans))
    summary = gather(sweep, {dense.stem: read_scorecard(card) for dense, card in cards.items()}, points, failed)
    summary.write(bench.folder / f"{sweep.name}.json")
    summary.write_csv(bench.folder / f"{sweep.name}.csv")
    write_charts(summary, bench.folder / sweep.name)
    return summary


def run_dense(dense: Path, bench: Bench) -> Path:
    """Evaluate a dense parent, unless that was done; the path of its scorecard.

    Raises:
        WildbenchError: A file or data set cannot be used.
    """
    folder = bench.folder / DENSE / dense.stem
    card, depends = folder / f"{dense.stem}.json", {"sha256": sha256_of(dense), **_common(bench)}
    if not is_done(folder, depends):
        shutil.rmtree(folder, ignore_errors=True)
        _evaluate(dense, card, bench)
        _mark(folder, depends)
    return card


def run_point(plan: Plan, dense_card: Path, bench: Bench) -> Point:
    """Make, evaluate and compare one point, unless that was done.

    Raises:
        WildbenchError: A file or data set cannot be used, or a method cannot change this detector.
    """
    folder = bench.folder / POINTS / plan.name
    card, depends = folder / f"{plan.name}.json", depends_on(plan, bench)
    if not is_done(folder, depends):
        shutil.rmtree(folder, ignore_errors=True)
        made = folder / f"{plan.name}.{plan.format}"
        training = bench.training if plan.recipe.needs_data else None
        images = bench.images if training else None
        options: dict[str, Any] = {"seed": plan.seed, "device": bench.device, "progress": bench.progress}
        compress(plan.recipe, plan.dense, made, dataset=training, images=images, **options)
        _evaluate(made, card, bench)
        compare([dense_card, card], dataset=bench.dataset, replicates=bench.replicates).write(folder / COMPARISON)
        _mark(folder, depends)
    comparison = Comparison.model_validate_json((folder / COMPARISON).read_text(encoding="utf-8"))
    return Point(plan, read_scorecard(card), comparison)


def _evaluate(submission: Path, card: Path, bench: Bench) -> None:
    shared = {key: getattr(bench, key) for key in ("dataset", "images", "split", "device", "progress")}
    evaluate(submission, out=card, **shared)


def _common(bench: Bench) -> dict[str, str]:
    return {"scored_on": bench.scored_on, "device": bench.device, "wildbench": version("wildbench")}


def depends_on(plan: Plan, bench: Bench) -> dict[str, str]:
    """Everything a point depends on, apart from the machine."""
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
    """The present augmentation of the training recipes that steps name by their paths."""
    named = [getattr(step.settings, "like", None) for step in recipe.steps]
    return "\n".join(load_recipe(like).augmentation.model_dump_json() for like in named if like is not None)


def is_done(folder: Path, depends: dict[str, str]) -> bool:
    """Whether the folder was finished with the same dependencies, and no file has changed since."""
    try:
        mark = Mark.model_validate_json((folder / MARK).read_bytes())
    except (OSError, ValueError):  # pydantic's error is a ValueError
        return False
    return mark.depends == depends and mark.files.items() <= _files(folder).items()


def _files(folder: Path) -> dict[str, str]:
    return {path.name: sha256_of(path) for path in folder.iterdir() if path.is_file() and path.name != MARK}


def _mark(folder: Path, depends: dict[str, str]) -> None:
    mark = Mark(depends=depends, files=dict(sorted(_files(folder).items())))
    write_atomically(folder / MARK, f"{mark.model_dump_json(indent=2)}\n".encode())


@lru_cache(maxsize=32)
def _labels(dataset: str, split: str) -> str:
    return load_dataset(dataset, split=split, with_images=False).sha256


def _check_dense(sweep: Sweep, bench: Bench) -> None:
    """Refuse dense parents that would be cleared away."""
    for dense in sweep.dense:
        for own in (bench.folder / DENSE, bench.folder / POINTS):
            if dense.resolve().is_relative_to(own.resolve()):
                message = f"{dense} is in {own}, where a sweep clears folders"
                raise RecipeError(message, code="dense-in-sweep", remedy="move it elsewhere")
