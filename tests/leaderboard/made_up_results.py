"""A small data set and detectors of known quality on it, scored as a user scores them."""

import hashlib
import json
import shutil
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from made_up_cards import make_card

from wildbench import plugins
from wildbench.evaluation import score
from wildbench.leaderboard._results import KEPT, REPRODUCED, SUMS, Result, Samples, own, result_id, sums_of
from wildbench.measures import Measure
from wildbench.scorecard import Figure, Scorecard, read_scorecard

IMAGES, LOCATIONS = 40, 20


def write_dataset(path: Path, *, shift: int = 0) -> Path:
    """Forty images of twenty locations, a lion in each and a zebra in every other; `shift` makes another version."""
    annotations = []
    for image in range(1, IMAGES + 1):
        for category in (1, 2) if image % 2 else (1,):
            box = [10 + shift, 10 + 60 * category, 40 + image, 50]
            annotations.append({"image_id": image, "category_id": category, "bbox": box, "area": box[2] * box[3]})
    coco = {
        "images": [
            {"id": i, "file_name": f"{i}.jpg", "width": 300, "height": 300, "location": f"gate {i % LOCATIONS}"}
            for i in range(1, IMAGES + 1)
        ],
        "categories": [{"id": 1, "name": "lion"}, {"id": 2, "name": "zebra"}],
        "annotations": [entry | {"id": i, "iscrowd": 0} for i, entry in enumerate(annotations, start=1)],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(coco))
    return path


def write_predictions(path: Path, dataset: Path, *, quality: float, seed: int = 0) -> Path:
    """Detections: each box is found with a probability of `quality`, and beside each there is a wrong one."""
    rng = np.random.default_rng(seed)
    results = []
    for entry in json.loads(dataset.read_text())["annotations"]:
        x, y, w, h = entry["bbox"]
        common = {"image_id": entry["image_id"], "category_id": entry["category_id"]}
        if rng.random() < quality:
            results.append(common | {"bbox": [x, y, w, h + int(rng.integers(9))], "score": float(rng.random())})
        results.append(common | {"bbox": [200, 200, 60, 60], "score": float(rng.random()) / 2})
    path.write_text(json.dumps(results))
    return path


def write_card(folder: Path, dataset: Path, name: str, *, quality: float = 0.8, seed: int = 0) -> Path:
    """Score a made-up detector and return its scorecard's path."""
    folder.mkdir(parents=True, exist_ok=True)
    predictions = write_predictions(folder / f"{name}.json", dataset, quality=quality, seed=seed)
    score(predictions, dataset=dataset, out=folder / f"{name}.score.json")
    return folder / f"{name}.score.json"


def edited(card: Path, out: Path, *changes: tuple[str, object]) -> Path:
    """A copy of a scorecard with some keys changed; its detections are copied too where it moves."""
    document = json.loads(card.read_text())
    for key, value in changes:
        *parents, last = key.split(".")
        place: dict[str, Any] = document
        for parent in parents:
            place = place[parent]
        place[last] = value
    out.write_text(json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False) + "\n")
    for predictions in card.parent.glob("*.predictions.json"):
        if out.parent != card.parent:
            shutil.copy(predictions, out.parent)
    return out


def made_up_samples(ap: float, *, noise: float = 0.02, seed: int = 0, groups: int = 30) -> Samples:
    """AP on resampled images, with what all detectors share and what is this one's own."""
    shared, own = np.random.default_rng(99), np.random.default_rng(seed)
    drawn = ap + shared.normal(0, 0.03, 2000) + own.normal(0, noise, 2000)
    without = ap + shared.normal(0, 0.03, groups) / groups + own.normal(0, noise, groups) / groups
    return Samples(np.array([ap]), drawn, without)


def make_result(card: Scorecard, *, noise: float = 0.02, seed: int = 0) -> Result:
    """A result that is in no folder."""
    ap = card.accuracy.ap.value
    samples = made_up_samples(float("nan") if ap is None else ap, noise=noise, seed=seed)
    return Result(result_id(card), card, "0" * 64, Path("none"), samples, own(card, "0" * 64))


def make_named(name: str, ap: float | None, *, seed: int = 0, noise: float = 0.02, **changes: Any) -> Result:
    """A result with these changes of its submission, and `file_bytes`, `macs`, `cpu` and `p50` as they are given."""
    card = make_card("a", ap=ap, file_bytes=changes.pop("file_bytes", 1000))
    size, compute, latency = card.size, card.compute, card.latency
    assert size
    assert compute
    assert latency
    macs, p50 = changes.pop("macs", 1e9), changes.pop("p50", 20.0)
    sha256 = changes.pop("sha256", name.encode().hex().ljust(64, "0")[:64])
    submission = card.submission.model_copy(
        update={"name": name, "sha256": sha256, "parent": changes.pop("parent", None)}
    )
    environment = card.environment.model_copy(update={"cpu": changes.pop("cpu", "c")})
    compute = compute.model_copy(update={"macs": Figure(value=macs, unit="MAC", n=2)})
    time = Figure(value=p50, unit="ms", n=100)
    latency = latency.model_copy(update={"p50": time, "mean": time, **changes})
    entropy = Figure(value=900 + zlib.crc32(name.encode()) / 2**32, unit="B", n=3)
    size = size.model_copy(update={"entropy_bytes": entropy})
    accuracy = card.accuracy.model_copy(update={"ap": card.accuracy.ap.model_copy(update={"n": 3000})})
    parts = {
        "accuracy": accuracy,
        "submission": submission,
        "environment": environment,
        "size": size,
        "compute": compute,
        "latency": latency,
    }
    return make_result(card.model_copy(update=parts), seed=seed, noise=noise)


def names(rows: Sequence[Any]) -> list[str]:
    """Names of rows, in order."""
    return [row.name for row in rows]


def measured_here(place: Path) -> None:
    """Make a result the board's own, and its hashes fit its files, as `reproduce` does, and a forger would."""
    stored = (place / "card.json").read_bytes()
    made = own(read_scorecard(place / "card.json"), hashlib.sha256(stored).hexdigest())
    (place / REPRODUCED).write_bytes(made.to_bytes())
    (place / SUMS).write_bytes(sums_of({name: (place / name).read_bytes() for name in (*KEPT, REPRODUCED)}))


class Energy(Measure):
    """What a package may add: a figure of its own, which is a cost and compares on one processor."""

    key, title, unit, better, limits, digits = "energy", "energy", "mJ", "lower", (1e-3, 1e6), 1

    def within(self, card: Scorecard) -> str | None:
        """The processor."""
        return card.environment.cpu


@contextmanager
def energy() -> Iterator[None]:
    """The measure is registered inside the block."""
    before, registry = dict(plugins.measures._targets), plugins.measures
    registry._resolved.pop("energy", None)
    registry.register("energy", Energy)
    try:
        yield
    finally:
        registry._targets = before
        registry._resolved.pop("energy", None)


def with_energy(result: Result, value: float) -> Result:
    """The same with the figure that the measure wrote into its card."""
    figure = Figure(value=value, unit="mJ", n=2)
    return replace(result, card=result.card.model_copy(update={"measures": {"energy": figure}}))
