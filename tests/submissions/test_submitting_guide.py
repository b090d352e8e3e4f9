"""The guide's own examples, run as they are printed."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from small_networks import constant_detector

from wildbench.errors import WrongOutput
from wildbench.submissions.input import InputContract
from wildbench.submissions.manifest import Manifest, parse_manifest
from wildbench.submissions.output import (
    Boxes,
    Contract,
    DescribedOutput,
    DetrOutput,
    Labels,
    Levels,
    Objectness,
    Part,
    Scores,
    TorchvisionOutput,
    Yolov8Output,
    YoloxOutput,
)
from wildbench.submissions.process import Sandbox, open_submission

DOCS = Path(__file__).parents[2] / "docs"
GUIDE = (DOCS / "submitting.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", GUIDE, flags=re.DOTALL)


@pytest.mark.filterwarnings("ignore:.torch.jit:FutureWarning")
def test_the_python_examples_make_submissions_that_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for number, code in enumerate(blocks("python")):
        source = tmp_path / f"example_{number}.py"  # torch.jit.script reads the source of what it compiles
        source.write_text(code)
        exec(compile(code, source, "exec"), {"__name__": f"example_{number}"})
    image = np.full((48, 64, 3), 51, np.uint8)
    for name in ("submission.pt", "mine.pt", "mine.pt2"):
        opened = open_submission(name)
        assert opened.manifest.categories == ["zebra", "lion"]
        found = opened.predict(image)
        if name != "submission.pt":
            np.testing.assert_allclose(found.boxes, [[8 / 5, 8 * 0.15, 64 / 5, 48 * 0.15]], rtol=1e-6)
            np.testing.assert_allclose(found.scores, [0.2], rtol=1e-5)


def test_a_failure_reads_as_it_is_printed(tmp_path: Path) -> None:
    path = constant_detector(tmp_path / "mine.onnx", labels=np.array([0, 1]))
    with Sandbox(path, threads=1) as box, pytest.raises(WrongOutput) as caught:
        box.predict(np.zeros((24, 40, 3), np.uint8))
    assert f"`wildbench: {caught.value}`".replace(path.name, "mine.pt") in GUIDE


def test_the_manifest_shown_is_the_whole_one_with_fewer_categories() -> None:
    (shown,) = blocks("json")
    short = parse_manifest(shown, "submitting.md")
    whole = parse_manifest((DOCS / "yolox_nano.manifest.json").read_bytes(), "yolox_nano.manifest.json")
    assert (short.input, short.output, short.name) == (whole.input, whole.output, whole.name)
    assert short.categories == whole.categories[:3]
    assert len(whole.categories) == 80
    assert set(json.loads(shown)) <= set(Manifest.model_fields)


DESCRIPTION = [DescribedOutput, Part, Boxes, Scores, Objectness, Labels, Levels]


@pytest.mark.parametrize(
    "part", [Manifest, InputContract, TorchvisionOutput, YoloxOutput, Yolov8Output, DetrOutput, *DESCRIPTION]
)
def test_every_key_is_in_the_guide(part: type[Contract]) -> None:
    for key in part.model_fields:
        assert f"`{key}`" in GUIDE, key
