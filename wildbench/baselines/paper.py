"""`wildbench baseline paper`: the papers' tables beside ours."""

from __future__ import annotations

import torch
from rich.table import Table

from wildbench.baselines import muhawenayo
from wildbench.baselines.pruned_files import measure
from wildbench.baselines.summary import read_summary
from wildbench.datasets.categories import CATEGORIES
from wildbench.datasets.registry import bundled
from wildbench.detectors import zoo
from wildbench.progress import Progress, silent
from wildbench.tables.paper import paper_table

SWEEP = "baselines/sweeps/paper-parksim.json"
"""Record of the sweep that repeats Muhawenayo & Gkioxari's experiment; read where it is there."""


def paper_tables(progress: Progress = silent, *, quick: bool = False) -> list[Table]:
    """The tables.

    Args:
        progress: Called as `progress(task, done, total)`.
        quick: Whether to leave out what is saved and measured now, which takes minutes.

    Raises:
        ScorecardError: The record of our sweep is damaged.
    """
    with torch.device("meta"):  # shapes alone, no memory
        network = zoo.build(muhawenayo.DETECTOR, len(CATEGORIES))
    path = bundled(SWEEP)
    own = read_summary(path) if path.is_file() else None
    measured = None if quick else measure(progress)
    lines, notes = muhawenayo.sections(muhawenayo.parameters(network), own, measured)
    headings = ["weights pruned", *(f"{percent} %" for percent in muhawenayo.PERCENT)]
    title = "Muhawenayo & Gkioxari (2021), table 1, beside ours: Faster R-CNN R50-FPN, 13 categories"
    return [paper_table(title, headings, lines, notes)]
