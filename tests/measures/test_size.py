"""Sizes of submissions: they sum to the file, and count what the tensors hold."""

from pathlib import Path

import pytest
import torch

from wildbench.detectors.zoo import _zoo
from wildbench.measures.size import measure_size, size_of
from wildbench.submissions.archive._archive import save_submission
from wildbench.submissions.inspection import Inspection, inspect_submission

NAME = "ssdlite320_mobilenet_v3_large"


@pytest.fixture(scope="module")
def network() -> torch.nn.Module:
    torch.manual_seed(0)
    model = _zoo.build(NAME, 2)
    with torch.no_grad():
        model.backbone.features[0][0][0].weight[:4] = 0
    return model


@pytest.mark.parametrize("codec", ["raw", "fp16"])
def test_the_parts_sum_to_the_file(tmp_path: Path, network: torch.nn.Module, codec: str) -> None:
    path = tmp_path / "a.pt"
    save_submission(network, path, detector=NAME, categories=["zebra", "lion"], codec=codec)
    size = measure_size(path)
    assert size.file_bytes.value == path.stat().st_size
    assert sum(part.value or 0 for part in size.by_part.values()) == path.stat().st_size
    assert {"backbone", "head"} <= set(size.by_part)
    assert size.by_layer
    layers = {one.layer: one.bytes for one in size.by_layer}
    assert sum(layers.values()) == path.stat().st_size
    assert len(layers) == len(size.by_layer)
    tensors = inspect_submission(path).tensors or []
    in_block = [tensor.bytes for tensor in tensors if tensor.name.startswith("backbone.features.0.3.")]
    assert layers["backbone.features.0.3"] == sum(in_block) > 0
    assert list(layers)[-1] == "container"


def test_parameters_are_counted_as_torch_counts_them(tmp_path: Path, network: torch.nn.Module) -> None:
    path = tmp_path / "a.pt"
    save_submission(network, path, detector=NAME, categories=["zebra", "lion"])
    size, parameters = measure_size(path), list(network.parameters())
    assert size.parameters.value == sum(parameter.numel() for parameter in parameters)
    assert size.parameters.n == len(parameters)
    assert size.nonzero.value == sum(int(parameter.count_nonzero()) for parameter in parameters)
    assert size.nonzero.value <= size.parameters.value - 4 * 27
    assert size.dense_fp32_bytes.value == 4 * size.parameters.value


def test_what_cannot_be_read_is_null_with_the_reason(tmp_path: Path, network: torch.nn.Module) -> None:
    path = tmp_path / "a.pt"
    save_submission(network, path, detector=NAME, categories=["zebra", "lion"])
    known = inspect_submission(path)
    size = size_of(Inspection(path, "torchscript", known.manifest, 10, {"container": 10}, None, "it is a pickle"))
    assert size.file_bytes.value == 10
    assert size.by_layer is None
    assert size.parameters.reason == size.nonzero.reason == size.dense_fp32_bytes.reason == "it is a pickle"
    assert size.bitmask_bytes is not None
    assert size.entropy_bytes is not None
    assert (size.bitmask_bytes.reason, size.entropy_bytes.reason) == ("it is a pickle", "it is a pickle")


def test_micronets_rule_counts_a_bit_a_parameter_and_the_values_that_are_not_zero(
    tmp_path: Path, network: torch.nn.Module
) -> None:
    pruned = {key: values.clone() for key, values in network.state_dict().items()}
    for values in pruned.values():
        if values.dim() == 4:
            values[values.abs() < values.abs().median()] = 0
    path = tmp_path / "a.pt"
    save_submission(pruned, path, detector=NAME, categories=["zebra", "lion"], codec="fp16")
    parameters = [pruned[name].half() for name, _ in network.named_parameters()]
    dense = [values.numel() * 16 for values in parameters]
    masked = [values.numel() + int(values.count_nonzero()) * 16 for values in parameters]
    size = measure_size(path)
    assert size.bitmask_bytes is not None
    assert size.bitmask_bytes.value == sum(map(min, dense, masked)) / 8
    assert sum(dense) / 2 < 8 * size.bitmask_bytes.value < sum(dense)
