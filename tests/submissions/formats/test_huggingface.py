import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hugging_face import hugging_face_folder
from refusals import refused

from wildbench.submissions.admission import admit
from wildbench.submissions.process import open_submission


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    hugging_face_folder(tmp_path / "model.safetensors")
    return tmp_path


def configured(folder: Path, **changes: Any) -> Path:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    return folder


def test_detections_are_those_of_transformers(tmp_path: Path) -> None:
    model = hugging_face_folder(tmp_path / "model.safetensors")
    image = np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8)
    found = open_submission(tmp_path).predict(image)
    pixels = (torch.from_numpy(image).permute(2, 0, 1)[None] / 255 - 0.5) / 0.5
    with torch.inference_mode():
        answer = model(pixel_values=pixels)
    scores, labels = answer.logits[0].softmax(-1)[:, :-1].max(-1)
    centres, sides = answer.pred_boxes[0, :, :2], answer.pred_boxes[0, :, 2:]
    corners = torch.cat([centres - sides / 2, centres + sides / 2], 1).clip(0, 1) * torch.tensor([96, 64, 96, 64])
    order = scores.argsort(descending=True)[: len(found.scores)]
    assert len(order) == int((scores >= 0.01).sum()) > 0
    np.testing.assert_allclose(found.scores, scores[order], atol=1e-5)
    np.testing.assert_array_equal(found.labels, labels[order] + 1)
    np.testing.assert_allclose(found.boxes, corners[order], atol=1e-3)


def test_the_header_lists_the_tensors(folder: Path) -> None:
    admitted = admit(folder)
    module: Any = open_submission(admitted).module
    state = {key: value for key, value in module.state_dict().items()}
    tensors = {tensor.name: tensor for tensor in admitted.listing.tensors or ()}
    assert sum(tensor.elements for tensor in tensors.values()) == sum(value.numel() for value in state.values())
    assert sum(tensor.nonzero or 0 for tensor in tensors.values()) == sum(
        int(value.count_nonzero()) for value in state.values()
    )
    listed = sum(tensor.bytes for tensor in tensors.values()) + sum(admitted.listing.overhead.values())
    assert listed == admitted.source.size == sum(file.stat().st_size for file in folder.iterdir())


def test_a_file_of_weights_brings_its_configuration(folder: Path) -> None:
    admitted = admit(folder / "model.safetensors")
    assert set(admitted.source.files) == {"model.safetensors", "config.json"}
    (folder / "config.json").unlink()
    with refused("submission/missing-companion"):
        admit(folder / "model.safetensors")


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"auto_map": {"AutoModel": "modeling.Mine"}}, "submission/remote-code"),
        ({"architectures": ["BertModel"]}, "submission/no-detector"),
        ({"architectures": None}, "submission/no-detector"),
        ({"model_type": "not-there"}, "submission/cannot-open"),
        ({"hidden_size": 18}, "submission/cannot-open"),
    ],
)
def test_what_cannot_be_opened_is_refused(folder: Path, changes: dict[str, Any], code: str) -> None:
    with refused(code):
        open_submission(configured(folder, **changes))


def test_an_architecture_that_nobody_knows_needs_a_manifest(folder: Path) -> None:
    (folder / "model.manifest.json").unlink()
    with refused("submission/unknown-architecture", "superdet"):
        admit(configured(folder, model_type="superdet"))


def test_a_damaged_folder_is_refused(folder: Path) -> None:
    path = folder / "model.safetensors"
    whole = path.read_bytes()
    size = int.from_bytes(whole[:8], "little")
    header = json.loads(whole[8 : 8 + size])
    name = next(name for name in header if name != "__metadata__")
    for change in ({"shape": [99]}, {"dtype": "F1"}, {"data_offsets": [0, 2**40]}):
        text = json.dumps(header | {name: header[name] | change}).encode()
        path.write_bytes(len(text).to_bytes(8, "little") + text + whole[8 + size :])
        with refused("submission/damaged"):
            _ = admit(folder).listing
    path.write_bytes(whole)
    (folder / "config.json").write_text("[]")
    with refused("submission/damaged"):
        admit(folder)
