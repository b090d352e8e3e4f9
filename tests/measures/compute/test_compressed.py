"""Figures of compressed submissions: of made-up counts by hand, and of real files through the detector's process."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from wildbench.detectors.zoo import _zoo
from wildbench.measures.compute._compute import measure_compute, summarise
from wildbench.measures.compute._count import Count, Operands, Weight, operands_of
from wildbench.submissions.archive._archive import save_submission
from wildbench.submissions.inspection import Inspection, inspect_submission
from wildbench.submissions.process import Sandbox

NAME = "fcos_efficientnet_lite0_fpn"
IMAGE = np.random.default_rng(0).integers(0, 256, (64, 96, 3), np.uint8)


def test_figures_are_means_over_the_images() -> None:
    counts = [Count(by_module={"a": macs}, by_weight={"a": macs}) for macs in (400, 800)]
    compute = summarise(counts, Operands({"a": Weight(8, 2, 8)}, 4))
    assert (compute.nonzero_macs.value, compute.nonzero_macs.n) == (150, 2)
    assert compute.bops.value == 600 * 8 * 4
    assert compute.operand_bits == {"8x4": 1}


def test_macs_are_shared_out_by_what_they_multiply() -> None:
    count = Count(by_module={"all": 100}, by_weight={"a": 50, "b": 30})
    weights = {name: Weight(8, 8, bits) for name, bits in (("a", 8), ("b", 4))}
    compute = summarise([count], Operands(weights, 1, {"a": 8, "": 16}))
    assert compute.operand_bits == {"8x8": 0.5, "4x32": 0.3, "16x16": 0.2}
    assert compute.bops.value == 50 * 8 * 8 + 30 * 4 * 32 + 20 * 16 * 16


def test_what_is_unknown_is_null_with_the_reason() -> None:
    cases: list[tuple[list[Count], Operands, str]] = [
        ([], Operands(), "no image was counted"),
        ([Count(unseen="it bypasses")], Operands({"a": Weight(8, 2, 8)}), "it bypasses"),
        ([Count(by_module={"a": 1})], Operands(unknown="it is a pickle"), "it is a pickle"),
        ([Count(by_module={"a": 1}, by_weight={"b": 1})], Operands(), "'b'"),
    ]
    for counts, operands, reason in cases:
        compute = summarise(counts, operands)
        for figure in (compute.nonzero_macs, compute.bops):
            assert reason in (figure.reason or "")
        assert compute.operand_bits is None


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
        compute = summarise(counts, operands)
        figures[bits] = compute.bops
        assert compute.nonzero_macs.caution is None
    assert figures[32].caution is None
    assert "1 bits" in (figures[1].caution or "")
    assert 32 * (figures[1].value or 0) == figures[32].value


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
    ("codec", "weight_bits", "activation_bits"),
    [
        ("raw", 32, 32),
        ("int8+sparse,fp16", 8, 8),
        ("codebook+sparse+huffman", 16, 32),  # 8 values that half precision holds
    ],
)
def test_a_stored_submission_has_the_figures_of_its_codec(
    tmp_path: Path, codec: str, weight_bits: int, activation_bits: int
) -> None:
    path = tmp_path / "a.pt"
    save_submission(
        pruned(), path, detector=NAME, categories=["zebra", "lion"], codec=codec, activation_bits=activation_bits
    )
    with Sandbox(path) as box:
        compute = measure_compute(box, [IMAGE], operands_of(inspect_submission(path)))
    macs = compute.macs.value
    assert macs
    assert compute.bops.value == macs * weight_bits * activation_bits
    assert compute.nonzero_macs.value == macs / 2
    assert compute.operand_bits == {f"{weight_bits}x{activation_bits}": 1.0}
