"""What a pruned Faster R-CNN R50-FPN really takes: networks are pruned and saved, and their files' bytes are read."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import torch

from wildbench.baselines.muhawenayo import DETECTOR, PERCENT, TABLE
from wildbench.compression.scopes import Scope, prunable
from wildbench.datasets.categories import CATEGORIES
from wildbench.detectors import zoo
from wildbench.progress import Progress, silent
from wildbench.submissions.archive import save_submission
from wildbench.submissions.codecs.chains import encode
from wildbench.submissions.codecs.fields import Record

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
