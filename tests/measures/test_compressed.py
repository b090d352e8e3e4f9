"""Figures of compressed submissions: of made-up counts by hand, and of real files through the detector's process."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from wildbench.detectors.zoo import _zoo
from wildbench.measures.compute._compute import REFERENCE, compressed_figures, measure_compute, reference_cost
from wildbench.measures.compute._count import Count, Operands, Weight, operands_of
from wildbench.resources import bundled
from wildbench.scorecard import read_scorecard
from wildbench.submissions.archive._archive import save_submission
from wildbench.submissions.inspection import Inspection, inspect_submission
from wildbench.submissions.process._parent import Sandbox

NAME = "fcos_efficientnet_lite0_fpn"
IMAGE = np.random.default_rng(0).integers(0, 256, (64, 96, 3), np.uint8)


def test_figures_are_means_over_the_images() -> None:
    counts = [Count(by_module={"a": macs}, by_weight={"a": macs}) for macs in (400, 800)]
    nonzero, bops, micronet = compressed_figures(counts, Operands({"a": Weight(8, 2, 8, 8)}, 4))
    assert (nonzero.value, nonzero.n) == (150, 2)
    assert bops.value == 600 * 8 * 4
    assert micronet.operations.value == 150 * (8 / 32 + 1)
    assert micronet.storage.value == (2 * 8 + 8) / 32
    assert micronet.freebie is False


def test_the_score_is_relative_to_the_bundled_dense_detector_as_it_was_measured() -> None:
    card = read_scorecard(bundled(REFERENCE))
    assert card.size
    assert card.compute
    parameters, macs = card.size.parameters.value, card.compute.macs.value
    assert parameters
    assert macs
    name, cost = reference_cost()
    assert (cost.storage, cost.operations) == (parameters, 2 * macs)
    assert card.submission.sha256[:12] in name
    rest = int(parameters) - 1
    itself = Operands({"a": Weight(1, 1, 32, 32), "b": Weight(rest, rest, 32, 32)})
    _, _, micronet = compressed_figures([Count(by_module={"a": int(macs)}, by_weight={"a": int(macs)})], itself)
    assert micronet.score.value == 0.5 + 0.75  # with the freebie: half the storage, half of each multiplication
    assert micronet.reference_storage.value == parameters
    assert micronet.reference_operations.value == 2 * macs


@pytest.mark.parametrize(
    ("counts", "operands", "says"),
    [
        ([], Operands(), "no image was counted"),
        ([Count(unseen="it bypasses")], Operands({"a": Weight(8, 2, 8, 8)}), "it bypasses"),
        ([Count(by_module={"a": 1})], Operands(unknown="it is a pickle"), "it is a pickle"),
        ([Count(by_module={"a": 1}, by_weight={"b": 1})], Operands(), "no weight 'b'"),
    ],
)
def test_what_cannot_be_told_is_null_with_the_reason(counts: list[Count], operands: Operands, says: str) -> None:
    nonzero, bops, micronet = compressed_figures(counts, operands)
    for figure in (nonzero, bops, micronet.operations, micronet.score):
        assert says in (figure.reason or "")
    assert (micronet.storage.value is None) == (operands.unknown is not None)


def test_what_a_file_does_not_tell_is_unknown(tmp_path: Path) -> None:
    path = tmp_path / "a.pt"
    manifest = save_submission(_zoo.build(NAME, 1), path, detector=NAME, categories=["lion"], activation_bits=7)
    tensors = inspect_submission(path).tensors
    assert tensors
    pickled = Inspection(path, "torchscript", manifest, 10, {}, None, "it is a pickle")
    assert operands_of(pickled) == Operands(activation_bits=7, unknown="it is a pickle")
    unread = [replace(tensors[0], nonzero=None), *tensors[1:]]
    assert tensors[0].name in (operands_of(Inspection(path, "pt2", manifest, 10, {}, unread)).unknown or "")


def test_few_activation_bits_are_believed_only_with_a_caution(tmp_path: Path) -> None:
    """A float32 network whose manifest says 1 bit has a 32nd of the bit operations; whoever reads that is told."""
    path = tmp_path / "a.pt"
    figures = {}
    for bits in (32, 1):
        save_submission(_zoo.build(NAME, 1), path, detector=NAME, categories=["lion"], activation_bits=bits)
        operands = operands_of(inspect_submission(path))
        name = next(iter(operands.weights))
        counts = [Count(by_module={"a": 640}, by_weight={name: 640})]
        nonzero, bops, cost = compressed_figures(counts, operands)
        figures[bits] = [bops, cost.operations, cost.score]
        assert (nonzero.caution, cost.storage.caution) == (None, None)
    assert [figure.caution for figure in figures[32]] == [None] * 3
    assert [figure.caution for figure in figures[1]] == ["activations of 1 bits: the manifest's word, not checked"] * 3
    assert 32 * (figures[1][0].value or 0) == figures[32][0].value


def pruned() -> torch.nn.Module:
    """A detector with half of every convolution's weights zero, and the others one of seven values."""
    torch.manual_seed(0)
    network = _zoo.build(NAME, 2)
    with torch.no_grad():
        for tensor in network.parameters():
            if tensor.dim() == 4:
                tensor.copy_(torch.randint(1, 8, tensor.shape) / 128)
                tensor.view(-1)[: tensor.numel() // 2] = 0
    return network.eval()


@pytest.mark.parametrize(
    ("codec", "weight_bits", "activation_bits", "free"),
    [
        ("raw", 32, 32, True),
        ("fp16", 16, 16, True),
        ("int8+sparse,fp16", 8, 8, False),
        ("int4,fp16", 4, 8, False),
        ("codebook+sparse+huffman", 16, 32, False),  # 8 values that half precision holds
    ],
)
def test_a_stored_submission_has_the_figures_of_its_codec(
    tmp_path: Path, codec: str, weight_bits: int, activation_bits: int, free: bool
) -> None:
    path = tmp_path / "a.pt"
    save_submission(
        pruned(), path, detector=NAME, categories=["zebra", "lion"], codec=codec, activation_bits=activation_bits
    )
    inspection = inspect_submission(path)
    operands = operands_of(inspection)
    with Sandbox(path) as box:
        found = measure_compute(box, [IMAGE], operands)
    macs = found.macs.value
    assert macs
    assert found.bops
    assert found.nonzero_macs
    assert found.micronet
    assert found.bops.value == macs * weight_bits * activation_bits
    assert found.nonzero_macs.value == macs / 2
    assert found.activation_bits == activation_bits
    assert found.micronet.freebie == free
    if not free:
        bitmask = inspection.bitmask_bytes
        assert bitmask
        assert found.micronet.storage.value == bitmask / 4
    multiplication = 16 / 32 if free else max(weight_bits, activation_bits) / 32
    assert found.micronet.operations.value == macs / 2 * (multiplication + 1)
    widest = max(weight.stored_bits for weight in operands.weights.values() if weight.bits == weight_bits)
    assert widest == (3 if codec.startswith("codebook") else weight_bits)
