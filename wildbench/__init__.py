"""wildbench: a dataset and benchmark harness for compressed wildlife detectors.

The contents page: every public name, imported when it is first used, so that `import wildbench` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wildbench.categories import CATEGORIES
    from wildbench.comparison import compare
    from wildbench.datasets.coco import Dataset
    from wildbench.datasets.registry import load_dataset
    from wildbench.errors import WildbenchError
    from wildbench.evaluation import evaluate, score
    from wildbench.scorecard import Figure, Scorecard, read_scorecard
    from wildbench.submissions.archive import save_submission
    from wildbench.submissions.inspection import inspect_submission

_HOME = {
    "CATEGORIES": "wildbench.categories",
    "Dataset": "wildbench.datasets.coco",
    "Figure": "wildbench.scorecard",
    "Scorecard": "wildbench.scorecard",
    "WildbenchError": "wildbench.errors",
    "compare": "wildbench.comparison",
    "evaluate": "wildbench.evaluation",
    "inspect_submission": "wildbench.submissions.inspection",
    "load_dataset": "wildbench.datasets.registry",
    "read_scorecard": "wildbench.scorecard",
    "save_submission": "wildbench.submissions.archive._archive",
    "score": "wildbench.evaluation",
}

__all__ = [
    "CATEGORIES",
    "Dataset",
    "Figure",
    "Scorecard",
    "WildbenchError",
    "compare",
    "evaluate",
    "inspect_submission",
    "load_dataset",
    "read_scorecard",
    "save_submission",
    "score",
]


def __getattr__(name: str) -> object:
    """Import a public name on first use (PEP 562)."""
    if name not in _HOME:
        raise AttributeError(f"module 'wildbench' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    """List the public names only."""
    return list(__all__)
