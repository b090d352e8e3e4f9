"""A reader that a package brings makes a file of its tool go in by itself."""

import json
from pathlib import Path

import onnx
from small_networks import constant_detector

from wildbench.submissions.admission import admit


def test_a_file_of_its_tool_needs_no_manifest(savanna: Path, tmp_path: Path) -> None:
    path = constant_detector(tmp_path / "a.onnx")
    path.with_suffix(".manifest.json").unlink()
    model = onnx.load(path)
    model.metadata_props.add(key="ranger-classes", value=json.dumps(["zebra", "lion"]))
    for side in model.graph.input[0].type.tensor_type.shape.dim[2:]:
        side.dim_value = 64
    for name, sides in (("boxes", 2), ("labels", 1), ("scores", 1)):
        output = next(output for output in model.graph.output if output.name == name)
        output.type.tensor_type.shape.dim.extend([onnx.TensorShapeProto.Dimension()] * sides)
    onnx.save(model, path)
    admitted = admit(path)
    assert admitted.manifest.categories == ["zebra", "lion"]
    assert (admitted.manifest.input.size, admitted.manifest.input.mean) == ((64, 64), (0.5, 0.5, 0.5))
    assert "ranger-classes" in admitted.origin
