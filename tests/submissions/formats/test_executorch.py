"""ExecuTorch programs are read without ExecuTorch, and run by it where it is installed."""

from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
import pytest
import torch
from refusals import refused
from small_networks import manifest
from torch import nn

from wildbench.errors import SubmissionError
from wildbench.submissions.admission import recognise
from wildbench.submissions.formats.executorch import FORMAT
from wildbench.submissions.source import Source

NO_RUNTIME = "ExecuTorch brings torchao and two dozen packages; extra executorch"


class Writer:
    """Writes tables of a flatbuffer by the numbers of their fields."""

    def __init__(self) -> None:
        self.builder = flatbuffers.Builder(1024)

    def table(self, **fields: Any) -> int:
        """Fields are f0, f1, ...: a number of one byte as (value,), texts, lists of numbers, or offsets of tables."""
        ready = {name: self._ready(value) for name, value in fields.items()}
        self.builder.StartObject(12)
        for name, value in ready.items():
            slot = int(name[1:])
            if isinstance(value, tuple):
                self.builder.PrependInt8Slot(slot, value[0], 0)
            else:
                self.builder.PrependUOffsetTRelativeSlot(slot, value, 0)
        return int(self.builder.EndObject())

    def tables(self, *offsets: int) -> int:
        self.builder.StartVector(4, len(offsets), 4)
        for offset in reversed(offsets):
            self.builder.PrependUOffsetTRelative(offset)
        return int(self.builder.EndVector())

    def _ready(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.builder.CreateString(value)
        return self.builder.CreateNumpyVector(np.array(value, np.int32)) if isinstance(value, list) else value


def program(folder: Path, method: str = "forward", dynamic: int = 0, delegate: str = "CoreMLBackend") -> Source:
    """One delegated call from a float image to a float answer."""
    writer = Writer()
    image = writer.table(f0=(6,), f2=[1, 3, 32, 48], f8=(dynamic,))
    answer = writer.table(f0=(6,), f2=[1, 9, 30])
    number = writer.table()
    kinds = [(5, image), (2, number), (5, answer)]
    values = writer.tables(*(writer.table(f0=(kind,), f1=value) for kind, value in kinds))
    call = writer.table(f0=(2,), f1=writer.table())
    chains = writer.tables(writer.table(f2=writer.tables(call)))
    delegates = writer.tables(writer.table(f0=delegate))
    plan = writer.table(f0=method, f2=values, f3=[0], f4=[2], f5=chains, f7=delegates)
    writer.builder.Finish(writer.table(f1=writer.tables(plan)), b"ET12")
    path = folder / "a.pte"
    path.write_bytes(bytes(writer.builder.Output()))
    return recognise(Source.read(path))[0]


@pytest.mark.parametrize(("dynamic", "sides"), [(0, (32, 48)), (1, (None, None))])
def test_the_signature_is_read_without_the_runtime(tmp_path: Path, dynamic: int, sides: tuple[Any, Any]) -> None:
    signature = FORMAT.signature(program(tmp_path, dynamic=dynamic))
    (image,), (answer,) = signature.inputs, signature.outputs
    assert (image.name, image.shape, image.dtype) == ("input0", (1, 3, *sides), "float32")
    assert (answer.name, answer.shape, answer.dtype) == ("output0", (1, 9, 30), "float32")
    assert FORMAT.tensors(program(tmp_path), manifest()).tensors is None


def test_what_is_no_program_for_images_is_refused(tmp_path: Path) -> None:
    with refused("submission/not-executorch"):
        FORMAT.signature(program(tmp_path, method="encode"))
    data = bytearray(program(tmp_path).data)
    data[:4] = b"\xff\xff\xff\x7f"
    with refused("submission/not-executorch"):
        FORMAT.signature(Source(Path("a.pte"), bytes(data)))


def test_a_delegate_that_is_not_here_is_named(tmp_path: Path) -> None:
    pytest.importorskip("executorch.runtime", reason=NO_RUNTIME)
    with refused("submission/no-delegate", "CoreMLBackend"):
        FORMAT.open(program(tmp_path), manifest(), "cpu", 1)


@pytest.mark.parametrize(("xnnpack", "provider"), [(False, "own kernels"), (True, "XnnpackBackend: 1 calls")])
def test_a_program_answers_as_its_network(tmp_path: Path, xnnpack: bool, provider: str) -> None:
    pytest.importorskip("executorch.runtime", reason=NO_RUNTIME)
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.exir import to_edge_transform_and_lower

    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 4, 1)).eval()
    image = torch.rand(1, 3, 12, 13)
    exported = torch.export.export(network, (image,))
    lowered = to_edge_transform_and_lower(exported, partitioner=[XnnpackPartitioner()] if xnnpack else None)
    path = tmp_path / "a.pte"
    path.write_bytes(lowered.to_executorch().buffer)
    source = recognise(Source.read(path))[0]
    backend = FORMAT.open(source, manifest(), "cpu", 1)
    with torch.inference_mode():
        expected = network(image).numpy()
    assert np.allclose(backend.run({"input0": image.numpy()})["output0"], expected, atol=1e-5)
    assert provider in backend.facts()["provider"]
    assert FORMAT.signature(source).outputs[0].shape == expected.shape
    path.write_bytes(source.data[: len(source.data) // 2])
    with pytest.raises(SubmissionError):
        FORMAT.open(Source.read(path), manifest(), "cpu", 1)
