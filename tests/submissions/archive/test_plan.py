"""What is known of a detector before its file is believed."""

import tracemalloc
from pathlib import Path

import numpy as np
import torch
from refusals import refused

from wildbench.detectors.zoo import _zoo
from wildbench.submissions.archive._archive import lay_out, read_submission, save_submission
from wildbench.submissions.archive._rebuild import plan
from wildbench.submissions.codecs.packing import MOST_ELEMENTS, deflate
from wildbench.submissions.manifest import parse_manifest

NAME = "fcos_efficientnet_lite0_fpn"
ARGUMENTS = {"blocks": 12, "channels": 16, "depth": 1}


def document(**arguments: int) -> dict:
    return {"name": "a", "detector": {"name": NAME, "arguments": arguments}, "categories": ["zebra", "lion"]}


def test_a_plan_is_the_detector_without_its_weights() -> None:
    model = _zoo.build(NAME, 2, **ARGUMENTS)
    detector = plan(parse_manifest(document(**ARGUMENTS), "a.pt"), "a.pt")
    assert dict(detector.shapes) == {name: tuple(values.shape) for name, values in model.state_dict().items()}
    assert detector.parameters == {name for name, _ in model.named_parameters()}
    assert detector.groups["head.classification_head.conv.0.2"] == (2, 16)
    wider = plan(parse_manifest(document(**ARGUMENTS), "a.pt"), "a.pt", more_categories=1)
    differing = {name for name, shape in detector.shapes.items() if wider.shapes[name] != shape}
    assert differing == {f"head.classification_head.cls_logits.{kind}" for kind in ("weight", "bias")}


def test_a_manifest_that_asks_for_a_giant_is_refused_before_it_is_built() -> None:
    for arguments, categories, code, number in (
        ({"channels": 80_000}, 2, "unknown-detector", "80000"),
        ({"depth": 10**9}, 2, "unknown-detector", "1000000000"),
        ({"channels": 1024}, 40_000, "too-large", f"{MOST_ELEMENTS:,}"),
    ):
        names = [f"species {number}" for number in range(categories)]
        manifest = parse_manifest(document(**(ARGUMENTS | arguments)) | {"categories": names}, "a.pt")
        with refused(f"submission/{code}") as caught:
            plan(manifest, "a.pt")
        assert number in caught.value.what


def test_a_tensor_larger_than_the_detectors_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    model = _zoo.build(NAME, 2, **ARGUMENTS)
    path = tmp_path / "a.pt"
    save_submission(model, path, detector=NAME, arguments=ARGUMENTS, categories=["zebra", "lion"])
    size = 2**26
    bomb = deflate(bytes(size))
    data = torch.from_numpy(np.frombuffer(bomb, np.uint8).copy())
    record = {"codec": "huffman", "dtype": "uint8", "bits": 8, "lengths": [len(bomb)], "data": data}
    name = next(iter(model.state_dict()))
    records = {**read_submission(path).records, name: {**record, "shape": [size // 64, 8, 4, 2]}}
    index, tensors = lay_out(records)
    content = torch.load(path, weights_only=True)
    content["index"] = len(index)
    content["tensors"] = torch.cat([torch.frombuffer(bytearray(index), dtype=torch.uint8), tensors])
    torch.save(content, path)
    tracemalloc.start()
    with refused("submission/tensors"):
        read_submission(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < size / 4, "what it stands for was made"
