"""What a torch.export archive says about its inputs and outputs, and programs that PT2E quantized."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from wildbench.errors import SubmissionError
from wildbench.plugins import formats
from wildbench.submissions.formats import Port, Signature
from wildbench.submissions.source import Source


class Sums(torch.nn.Module):
    """Answers with a tensor, a tuple or a dictionary."""

    def __init__(self, answer: str) -> None:
        super().__init__()
        self.answer = answer

    def forward(self, image: torch.Tensor) -> Any:
        total = image.sum((2, 3))
        return {"one": total, "pair": (total, total.half()), "named": {"sums": total}}[self.answer]


class OfList(torch.nn.Module):
    def forward(self, images: list[torch.Tensor]) -> torch.Tensor:
        return images[0] * 2


def saved(path: Path, module: torch.nn.Module, example: Any, **options: Any) -> Source:
    torch.export.save(torch.export.export(module, (example,), **options), path)
    return Source.read(path)


def signature(source: Source) -> Signature | None:
    return formats.get("pt2").signature(source)


IMAGE = Port("image", (1, 3, 8, 16), "float32")


@pytest.mark.parametrize(
    ("answer", "outputs"),
    [
        ("one", (Port("output", (1, 3), "float32"),)),
        ("pair", (Port("output 0", (1, 3), "float32"), Port("output 1", (1, 3), "float16"))),
        ("named", ()),
    ],
)
def test_ports_are_read_from_the_program(tmp_path: Path, answer: str, outputs: tuple[Port, ...]) -> None:
    source = saved(tmp_path / "a.pt2", Sums(answer), torch.zeros(1, 3, 8, 16))
    assert signature(source) == Signature((IMAGE,), outputs)


def test_free_sides_are_none(tmp_path: Path) -> None:
    sides = {"image": {2: torch.export.Dim("rows", min=2, max=64), 3: torch.export.Dim("columns", min=2, max=64)}}
    source = saved(tmp_path / "a.pt2", Sums("one"), torch.zeros(1, 3, 8, 16), dynamic_shapes=sides)
    told = signature(source)
    assert told is not None
    assert told.image == Port("image", (1, 3, None, None), "float32")


def test_bytes_are_told(tmp_path: Path) -> None:
    source = saved(tmp_path / "a.pt2", Sums("one"), torch.zeros(1, 3, 8, 16, dtype=torch.uint8))
    told = signature(source)
    assert told == Signature((Port("image", (1, 3, 8, 16), "uint8"),), (Port("output", (1, 3), "int64"),))


def test_a_list_of_images_has_no_signature(tmp_path: Path) -> None:
    assert signature(saved(tmp_path / "a.pt2", OfList(), [torch.zeros(3, 8, 16)])) is None


@pytest.mark.parametrize("program", [b"{", b"[]", json.dumps({"graph_module": {"module_call_graph": []}}).encode()])
def test_a_damaged_program_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, program: bytes) -> None:
    source = saved(tmp_path / "a.pt2", Sums("one"), torch.zeros(1, 3, 8, 16))
    monkeypatch.setattr(Source, "record", lambda self, name: program)
    with pytest.raises(SubmissionError) as error:
        signature(source)
    assert error.value.code == "submission/damaged"


QUANTIZED = """
import sys, torch
import torch.ao.quantization.fx._decomposed
class Rounded(torch.nn.Module):
    def forward(self, image):
        limits = (-128, 127, torch.int8)
        whole = torch.ops.quantized_decomposed.quantize_per_tensor(image, 0.5, 0, *limits)
        return torch.ops.quantized_decomposed.dequantize_per_tensor(whole, 0.5, 0, *limits)
torch.export.save(torch.export.export(Rounded(), (torch.zeros(1, 3, 2, 2),)), sys.argv[1])
"""

OPENED = """
import io, sys, torch
from wildbench.plugins import formats
with open(sys.argv[1], "rb") as file:
    module = formats.get("pt2").load(io.BytesIO(file.read()), "cpu")
print(module(torch.full((1, 3, 2, 2), 0.7)).unique().tolist())
"""


def test_a_quantized_program_opens_where_nobody_registered_its_operators(tmp_path: Path) -> None:
    path = str(tmp_path / "a.pt2")
    subprocess.run([sys.executable, "-c", QUANTIZED, path], check=True)
    opened = subprocess.run([sys.executable, "-c", OPENED, path], check=True, capture_output=True, text=True)
    assert opened.stdout.strip() == "[0.5]"
