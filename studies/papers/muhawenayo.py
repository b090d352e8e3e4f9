"""Table 1 of Muhawenayo & Gkioxari, "Compressed Object Detection", 2021 (arXiv:2102.02896): its bytes, and real ones.

They prune a Faster R-CNN R50-FPN of Detectron2 for 13 categories by global L1, without training it again, and print a
"Memory (MB)" beside each AP50. No file has these sizes: `RULE` tells how they are had from parameter counts alone.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import nn

from studies.papers.own_sweeps import COMPARE, mean_over_dense, where, whose
from wildbench.categories import CATEGORIES
from wildbench.compression.subject import Scope, prunable
from wildbench.detectors import zoo
from wildbench.progress import Progress, silent
from wildbench.submissions.archive import save_submission
from wildbench.submissions.codecs import Record, encode

if TYPE_CHECKING:
    from wildbench.sweeps.record import PointRecord, Summary

DETECTOR = "fasterrcnn_resnet50_fpn"

PERCENT = (0, 10, 20, 30, 40, 50, 70, 80, 90)
"""Of the weights of a part that are pruned: the table's columns."""

RULE = (
    "MB by the rule: a megabyte is a million bytes, and a parameter takes 4. The parameters of backbone, RPN and ROI "
    "head are first rounded to tenths of a million: 26.8, 0.6 and 14.0. Pruning p % of a part takes p % of all its "
    "parameters off, biases too; a pruned weight costs nothing, and nothing says where it was. The third row is cut "
    "off after one decimal, not rounded."
)

ROI_AP50 = (
    "AP50 of the ROI head: the table repeats the backbone's row, number for number. The paper's figure shows other "
    "values for it, as a curve without numbers; none are read off it here."
)


@dataclass(frozen=True)
class Row:
    """One part of the network in the table.

    Attributes:
        part: As the table calls it.
        scope: What is pruned.
        ap50: In percent, as printed.
        megabytes: As printed.
        cut: Whether its megabytes are cut off after one decimal.
    """

    part: str
    scope: Scope
    ap50: tuple[str, ...]
    megabytes: tuple[str, ...]
    cut: bool = False


_BACKBONE = ("87.92", "87.97", "88.40", "88.15", "86.95", "83.48", "77.42", "60.24", "0.17")

TABLE = (
    Row(
        "backbone",
        "backbone",
        _BACKBONE,
        ("165.6", "154.88", "144.16", "133.44", "122.72", "112.0", "90.56", "79.84", "69.12"),
    ),
    Row(
        "ROI head",
        "head",
        _BACKBONE,
        ("165.6", "160.0", "154.4", "148.8", "143.2", "137.6", "126.4", "120.8", "115.2"),
    ),
    Row(
        "both",
        "both",
        ("87.92", "87.72", "87.04", "83.60", "73.64", "61.18", "54.69", "33.12", "0.14"),
        ("165.6", "149.2", "132.9", "116.6", "100.3", "84.0", "51.3", "35.0", "18.7"),
        cut=True,
    ),
)


def parameters(model: nn.Module) -> dict[str, int]:
    """Parameters of Detectron2's network, by part, from torchvision's.

    The two differ in one layer: torchvision's box regressor has four outputs for the background too.

    Args:
        model: The zoo's Faster R-CNN, for as many categories.

    Example:
        >>> import torch
        >>> from wildbench.detectors import zoo
        >>> with torch.device("meta"):
        ...     parameters(zoo.build(DETECTOR, 13))
        {'backbone': 26799296, 'rpn': 593935, 'head': 13963330}
    """
    parts = {"backbone": "backbone", "rpn": "rpn", "head": "roi_heads"}
    found = {part: sum(p.numel() for p in model.get_submodule(name).parameters()) for part, name in parts.items()}
    regressor = model.get_submodule("roi_heads.box_predictor.bbox_pred")
    assert isinstance(regressor, nn.Linear)
    found["head"] -= 4 * (regressor.in_features + 1)
    return found


def megabytes(counts: Mapping[str, int], row: Row, percent: int) -> str:
    """What the table prints for a part, by `RULE`.

    Args:
        counts: Of `parameters`.
        row: Of the table.
        percent: Of the part's weights that are pruned.

    Example:
        >>> megabytes({"backbone": 26_799_296, "rpn": 593_935, "head": 13_963_330}, TABLE[2], 70)
        '51.3'
    """
    millions = {
        part: (Decimal(count) / 10**6).quantize(Decimal("0.1"), ROUND_HALF_UP) for part, count in counts.items()
    }
    parts = ("backbone", "head") if row.scope == "both" else (row.scope,)
    pruned = sum((millions[part] for part in parts), Decimal(0))
    exact = 4 * (sum(millions.values(), Decimal(0)) - pruned * percent / 100)
    if row.cut:
        exact = exact.quantize(Decimal("0.1"), ROUND_DOWN)
    return str(float(exact))


def disagreements(counts: Mapping[str, int]) -> list[str]:
    """Cells of the table whose printed megabytes do not follow from `counts` by `RULE`, as "both, 70 %"."""
    return [
        f"{row.part}, {percent} %"
        for row in TABLE
        for percent, printed in zip(PERCENT, row.megabytes, strict=True)
        if megabytes(counts, row, percent) != printed
    ]


FILES = (
    "MB of files: the same network pruned by global L1 and saved as a submission. Random weights: what a bitmask takes "
    "does not depend on them, what Huffman's code takes does a little. {raw}"
)

ONE_STAGE = (
    "A detector of one stage, such as ours, has no ROI head: its dense head is pruned instead, which is a far smaller "
    "part of it."
)

UNMEASURED = "AP50 of ours is not measured: the sweeps `paper-parksim` and `paper-wildlife` have left no record."


def sections(
    counts: Mapping[str, int], own: Sequence[Summary], measured: Measured | None
) -> tuple[list[list[list[str]]], list[str]]:
    """The paper's table beside ours: a section for each of its rows, and what stands below.

    Args:
        counts: Of `parameters`.
        own: Of the sweeps that repeat the experiment.
        measured: Real files; None to leave them out.
    """
    found = []
    for row in TABLE:
        lines = [
            [f"{row.part}: AP50, printed", *row.ap50],
            *([f"AP50, {where(one)}", *(_own_ap50(one, row.scope, percent) for percent in PERCENT)] for one in own),
            ["MB, printed", *row.megabytes],
            ["MB, by the rule", *(megabytes(counts, row, percent) for percent in PERCENT)],
        ]
        if measured:
            files = [measured.files[row.scope, percent] for percent in PERCENT]
            lines.append(["MB, file: a bit a weight, then non-zeros", *(f"{one.bitmask / 1e6:.1f}" for one in files)])
            lines.append(["MB, file: both Huffman-coded", *(f"{one.coded / 1e6:.1f}" for one in files)])
        found.append(lines)
    notes = [RULE, ROI_AP50]
    if measured:
        raw = f"With zeros stored like any other number it has {measured.raw / 1e6:.1f} MB at every ratio."
        notes.append(FILES.format(raw=raw))
    notes.extend([*(whose(one) for one in own), ONE_STAGE, COMPARE] if own else [UNMEASURED])
    return found, notes


def _own_ap50(sweep: Summary, scope: Scope, percent: int) -> str:
    """In percent; a dash where it was not measured for every dense detector."""
    wanted = (lambda point: _is(point, scope, percent)) if percent else None
    mean = mean_over_dense(sweep, wanted, lambda one: one.figures.get("ap50"))
    return "-" if mean is None else f"{100 * mean:.2f}"


def _is(point: PointRecord, scope: Scope, percent: int) -> bool:
    """Whether a point is pruned as the paper prunes, and nothing else was done."""
    wanted = {"scope": scope, "ratio": percent / 100, "criterion": "l1"}
    return [step.method for step in point.steps] == ["weights"] and point.steps[0].settings == wanted


BITMASK, CODED = "sparse", "sparse+huffman"
"""Chains of codecs that lose nothing."""


@dataclass(frozen=True)
class Files:
    """Bytes that a pruned network really takes.

    Attributes:
        bitmask: With a bit for each weight, and 4 bytes for each that is not zero.
        coded: With both Huffman-coded.
    """

    bitmask: int
    coded: int


@dataclass(frozen=True)
class Measured:
    """Bytes of real files.

    Attributes:
        raw: With every weight in 4 bytes: the same at every ratio, since a zero takes as much as any other number.
        files: By scope and percent.
    """

    raw: int
    files: dict[tuple[Scope, int], Files]


def measure(progress: Progress = silent, percent: tuple[int, ...] = PERCENT) -> Measured:
    """Save the network at each ratio of each row, and look how many bytes the files have.

    The weights are random, which a bitmask does not mind; Huffman's code may gain a little more or less on trained
    ones, whose exponents are spread otherwise.

    Args:
        progress: Called as `progress(task, done, total)`.
        percent: Which columns.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = zoo.build(DETECTOR, len(CATEGORIES))
    state = {name: tensor.detach() for name, tensor in model.state_dict().items()}
    dense = {codec: _records(state, codec) for codec in (BITMASK, CODED)}
    files: dict[tuple[Scope, int], Files] = {}
    points = len(TABLE) * len(percent)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.pt"
        raw = _bytes(path, state, _records(state, "raw"))
        for row in TABLE:
            names = [f"{name}.weight" for name in prunable(model, row.scope)]
            for share, pruned in _pruned({name: state[name] for name in names}, percent):
                progress("save pruned networks", len(files), points)
                sizes = [
                    _bytes(path, state | pruned, known | _records(pruned, codec)) for codec, known in dense.items()
                ]
                files[row.scope, share] = Files(*sizes)
        progress("save pruned networks", points, points)
    return Measured(raw, files)


def _records(tensors: Mapping[str, torch.Tensor], codec: str) -> dict[str, Record]:
    with ThreadPoolExecutor() as threads:  # zlib lets go of the interpreter's lock
        return dict(zip(tensors, threads.map(lambda tensor: encode(tensor, codec), tensors.values()), strict=True))


def _bytes(path: Path, state: Mapping[str, torch.Tensor], records: Mapping[str, Record]) -> int:
    save_submission(state, path, detector=DETECTOR, categories=list(CATEGORIES), codec=dict(records))
    return path.stat().st_size


def _pruned(
    weights: Mapping[str, torch.Tensor], percent: tuple[int, ...]
) -> Iterator[tuple[int, dict[str, torch.Tensor]]]:
    """For each share, the weights that differ from the dense ones: the smallest of all together are zero."""
    magnitudes = torch.cat([tensor.flatten() for tensor in weights.values()]).abs().numpy()
    many = {share: round(share / 100 * len(magnitudes)) for share in percent}
    magnitudes.partition([count - 1 for count in many.values() if count])
    for share, count in many.items():
        least = float(magnitudes[count - 1]) if count else -1.0
        yield share, {name: tensor * (tensor.abs() > least) for name, tensor in weights.items()} if count else {}
