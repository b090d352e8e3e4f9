"""Coding: what the file decodes to is what the detector is, and norms compute what they did."""

import pytest
import torch
from made_up_subjects import detector, step
from torch import nn
from torchvision.ops import FrozenBatchNorm2d

from wildbench.compression.coding._code import merge_statistics
from wildbench.compression.recovery._recalibrate import norms_of
from wildbench.errors import RecipeError
from wildbench.submissions.codecs.chains import encode
from wildbench.submissions.codecs.registry import decode


@pytest.mark.parametrize("norm", [nn.BatchNorm2d(4, eps=1e-3), FrozenBatchNorm2d(4, eps=0.0)])
def test_merged_norms_compute_the_same(norm: nn.Module) -> None:
    torch.manual_seed(0)
    with torch.no_grad():
        for tensor in (norm.weight, norm.bias, norm.running_mean):
            tensor.copy_(torch.randn(4))
        norm.running_var.copy_(torch.tensor([1e-6, 1e-2, 1.0, 50.0]))
    features = torch.randn(2, 4, 3, 3)
    before = norm.eval()(features)
    merge_statistics(norm)
    assert torch.allclose(norm(features), before, rtol=1e-4, atol=1e-5)
    assert norm.running_mean.tolist() == [0] * 4
    assert norm.running_var.tolist() == [1] * 4


def test_all_numbers_are_halves_and_equal_ones_stay_equal() -> None:
    subject = step(step(detector(), "share", bits=3, small=0), "code")
    weight = subject.model.head.classification_head.conv[0][1].weight
    assert len(weight.unique()) <= 8
    assert all(
        torch.equal(t, t.half().to(t.dtype)) for t in subject.model.state_dict().values() if t.is_floating_point()
    )
    assert subject.codec == "smallest"
    assert subject.records == {}


def test_without_halves_nothing_changes() -> None:
    subject = step(detector(), "code", half=False)
    dense = detector().model.state_dict()
    assert all(torch.equal(tensor, dense[name]) for name, tensor in subject.model.state_dict().items())


def test_what_a_codec_rounds_is_rounded_in_the_detector() -> None:
    subject = step(detector(), "code", half=False, codec="int8+huffman,fp16+huffman")
    dense = detector().model.state_dict()
    for name, tensor in subject.model.state_dict().items():
        assert torch.equal(decode(subject.records[name], name), tensor)
        assert torch.equal(decode(encode(dense[name], "int8+huffman,fp16+huffman"), name), tensor)


def test_an_unknown_codec_is_one_line() -> None:
    with pytest.raises(RecipeError, match=r"codec.*no codec 'zip'"):
        step(detector(), "code", codec="zip,fp16")


def test_it_is_the_last_step() -> None:
    from wildbench.compression.coding._code import METHODS

    assert METHODS["code"].last
    assert norms_of(detector().model)
