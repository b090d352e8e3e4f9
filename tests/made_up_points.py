"""Records of sweeps that nobody ran, with numbers that are easy to follow."""

from typing import Any

from wildbench.scorecard import Figure
from wildbench.sweeps.record import Summary

DENSE = {"lion": 0.8, "zebra": 0.6, "bird": 0.0}
BYTES = 8_000_000
PLAIN = [{"method": "weights", "settings": {"ratio": 0.3, "scope": "backbone", "criterion": "l1"}}]


def figure(value: float | None, unit: str = "AP", interval: tuple[float, float] | None = None) -> dict[str, Any]:
    if value is None:
        return Figure.undefined(unit, "not measured").model_dump()
    return Figure(value=value, unit=unit, interval=interval).model_dump()


def change(dense: float | None, value: float | None, interval: tuple[float, float] | None = None) -> dict[str, Any]:
    difference = None if dense is None or value is None else value - dense
    own = {"n": 10, "dense": dense, "value": value, "difference": difference, "interval": interval}
    return own | {
        "smallest": 0.025 if interval else None,
        "caution": None if interval else "no interval: all 10 boxes are in one of the locations",
        "verdict": "-",
    }


def measures(name: str, **changes: Any) -> dict[str, Any]:
    return {
        "name": name,
        "sha256": "0" * 64,
        "detector": "fcos",
        "method": "made up",
        "figures": {
            "file_bytes": figure(BYTES, "B"),
            "parameters": figure(2_000_000, "parameters"),
            "nonzero": figure(2_000_000, "parameters"),
            "macs": figure(1.5e9, "MAC"),
            "latency_ratio": figure(2.0, "1", (1.9, 2.1)),
            "ap": figure(0.4),
            "ap50": figure(0.7, interval=(0.6, 0.8)),
            "mean_iou50": figure(0.8, "IoU"),
        }
        | changes,
    }


def point(
    recipe: str = "unstructured",
    cost: float = -0.01,
    interval: tuple[float, float] | None = (-0.02, 0.0),
    *,
    ratio: float = 2.0,
    categories: dict[str, float] | None = None,
    steps: list[dict[str, Any]] | None = None,
    **changes: Any,
) -> dict[str, Any]:
    """A point that costs so much AP50, and each category so much of its own."""
    lost = {"lion": cost, "zebra": cost, "bird": 0.0} | (categories or {})
    low = {name: (loss - 0.1, loss + 0.01) for name, loss in lost.items()}
    seed, dense, settings = changes.pop("seed", 0), changes.pop("dense", "dense"), changes.pop("settings", {})
    first, *others = steps or PLAIN
    name = "-".join(map(str, (dense, recipe, *settings.values(), seed)))
    own = {"file_bytes": figure(BYTES // ratio, "B"), "ap50": figure(0.7 + cost), "ap": figure(0.4 + cost)}
    own |= {key: changes.pop(key) for key in [*changes] if key in measures(name)["figures"]}
    return measures(name, **own) | {
        "recipe": recipe,
        "steps": [first | {"settings": first["settings"] | settings}, *others],
        "settings": settings,
        "format": changes.pop("format", "pt"),
        "seed": seed,
        "dense": dense,
        "parent": "1" * 64,
        "ratio": ratio,
        "overall": {"ap": change(0.4, 0.4 + cost, interval), "ap50": change(0.7, 0.7 + cost, interval)},
        "sizes": {f"ap_{size}": change(0.3, 0.3 + cost, interval) for size in ("small", "medium", "large")},
        "per_category": {key: change(DENSE[key], DENSE[key] + loss, low[key]) for key, loss in lost.items()},
        **changes,
    }


def summary(*points: dict[str, Any], **changes: Any) -> Summary:
    dense = list(dict.fromkeys(one["dense"] for one in points)) or ["dense"]
    return Summary.model_validate(
        {
            "wildbench": "0.1.0",
            "sweep": "made-up",
            "summary": "A sweep that nobody ran",
            "dataset": {
                "name": "parksim",
                "split": "test",
                "sha256": "2" * 64,
                "images": 168,
                "boxes": 327,
                "categories": list(DENSE),
                "partial_labels": False,
            },
            "drawn": "locations",
            "groups_drawn": 5,
            "replicates": 2000,
            "environment": {
                "wildbench": "0.1.0",
                "python": "3.11",
                "platform": "Linux",
                "cpu": "a processor",
                "cpu_count": 2,
                "packages": {},
            },
            "dense": [measures(name) for name in dense],
            "points": points,
            "failed": [],
        }
        | changes
    )
