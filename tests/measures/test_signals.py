"""What passes between layers, read in torch; tests/pairs has ONNX."""

from pathlib import Path

import numpy as np
import pytest
from refusals import refused
from small_networks import MeanDetector, manifest, write_export, write_torchscript

from wildbench.measures.signals import SAMPLE, Signals, observe
from wildbench.resources import bundled
from wildbench.submissions.process import open_submission

pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit:FutureWarning")
IMAGE = np.random.default_rng(2).integers(0, 256, (96, 128, 3), dtype=np.uint8)


def test_every_module_of_a_submission_is_read_and_left_as_it_was() -> None:
    opened = open_submission(bundled("baselines/reference.pt"), threads=1)
    before = opened.predict(IMAGE)
    layers = Signals.model_validate(observe(opened, IMAGE)).layers
    assert {"Conv2d", "BatchNorm2d"} <= {one.operator for one in layers}
    first = layers[0]
    assert len(first.output.values) == min(SAMPLE, first.output.size)
    assert len(first.inputs) == 1
    assert first.inputs[0].channels == 3
    assert len(set(first.output.channel.tolist())) == first.output.channels
    assert opened.module is not None
    assert not any(module._forward_hooks for name, module in opened.module.named_modules() if name)
    np.testing.assert_array_equal(opened.predict(IMAGE).boxes, before.boxes)


def test_programs_that_torch_has_exported_show_no_layers(tmp_path: Path) -> None:
    for write, name in ((write_torchscript, "a.pt"), (write_export, "a.pt2")):
        opened = open_submission(write(tmp_path / name, MeanDetector(), manifest()), threads=1)
        with refused("submission/no-layers"):
            observe(opened, IMAGE)
