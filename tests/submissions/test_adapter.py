"""Any other file, opened by a person's own two functions in the detector's process."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from made_up_herd import herd
from refusals import refused
from typer.testing import CliRunner

import wildbench
from wildbench.cli import app
from wildbench.errors import DetectorCrashed, WrongOutput
from wildbench.files import sha256_of
from wildbench.submissions.admission import admit
from wildbench.submissions.foreign import Adapter
from wildbench.submissions.inspection import inspect_submission
from wildbench.submissions.process import Sandbox

IMAGE = np.random.default_rng(0).integers(0, 256, (24, 40, 3), np.uint8)

WHOLE = """
from pathlib import Path
CATEGORIES = ["zebra", "lion"]

def load(path):
    global box
    box = [float(side) for side in Path(path).read_text().split()]

def predict(image):
    assert image.flags.writeable and image.dtype.name == "uint8"
    return [box], ["lion"], [image.mean() / 255]
"""


@pytest.fixture
def whole(tmp_path: Path) -> tuple[Path, Path]:
    (tmp_path / "detector.xyz").write_text("1 2 30 20")
    (tmp_path / "my.py").write_text(WHOLE)
    return tmp_path / "detector.xyz", tmp_path / "my.py"


def adapter_of(folder: Path, body: str) -> tuple[Path, Path]:
    (folder / "detector.xyz").write_text("x")
    (folder / "my.py").write_text(f"CATEGORIES = ['zebra', 'lion']\ndef load(path): pass\n{body}")
    return folder / "detector.xyz", folder / "my.py"


def test_an_adapter_opens_what_no_format_knows(whole: tuple[Path, Path]) -> None:
    path, script = whole
    with refused("submission/unknown-format"):
        admit(path)
    admitted = admit(path, adapter=script)
    assert admitted.manifest.categories == ["zebra", "lion"]
    assert hashlib.sha256(script.read_bytes()).hexdigest() in admitted.origin
    sums = "".join(f"{sha256_of(file)}  {file.name}\n" for file in sorted((path, script)))
    assert admitted.sha256 == hashlib.sha256(sums.encode()).hexdigest()
    inspection = inspect_submission(admitted)
    assert (inspection.file_bytes, inspection.tensors) == (path.stat().st_size + script.stat().st_size, None)
    assert inspection.bytes_by_part["adapter"] == script.stat().st_size
    with Sandbox(path, adapter=script) as box:
        assert box.admitted.origin == admitted.origin
        detections = box.predict(IMAGE).detections
    assert detections.boxes.tolist() == [[1, 2, 30, 20]]
    assert detections.labels.tolist() == [2]
    assert detections.scores.tolist() == pytest.approx([IMAGE.mean() / 255])


def test_inspect_tells_what_an_adapter_opens(whole: tuple[Path, Path]) -> None:
    path, script = whole
    result = CliRunner().invoke(app, ["inspect", str(path), "--adapter", str(script)])
    assert result.exit_code == 0
    assert "zebra" in result.output
    script.write_text(WHOLE.replace("CATEGORIES", "NAMES"))
    assert CliRunner().invoke(app, ["inspect", str(path), "--adapter", str(script)]).exit_code != 0


def test_a_folder_comes_as_a_folder(tmp_path: Path) -> None:
    folder = tmp_path / "parts"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "box.txt").write_text("1 2 30 20")
    (folder / "readme").write_text("hello")
    (tmp_path / "my.py").write_text(WHOLE.replace("Path(path)", "Path(path, 'deep', 'box.txt')"))
    admitted = admit(folder, adapter=tmp_path / "my.py")
    assert admitted.source.size == 14 + len((tmp_path / "my.py").read_bytes())
    with Sandbox(folder, adapter=tmp_path / "my.py") as box:
        assert box.predict(IMAGE).detections.labels.tolist() == [2]


@pytest.mark.parametrize(
    "answer",
    [
        "{'scores': np.array([0.5, 0.25]), 'labels': np.array([2, 1]), 'boxes': np.array([BOX, BOX])}",
        "torch.tensor([BOX, BOX]), torch.tensor([2, 1]), torch.tensor([0.5, 0.25])",
        "[[BOX, BOX], ['lion', 'zebra'], [0.5, 0.25]]",
        "np.array([BOX, BOX]), np.array([2.0, 1.0]), np.array([0.5, 0.25])",
    ],
)
def test_answers_in_every_form(tmp_path: Path, answer: str) -> None:
    body = f"import numpy as np\nimport torch\nBOX = [1.0, 2.0, 30.0, 20.0]\ndef predict(image): return {answer}\n"
    path, script = adapter_of(tmp_path, body)
    backend = Adapter.read(script).open(*_opening(path, script))
    answers = backend.run({"image": IMAGE})
    assert answers["boxes"].tolist() == [[1, 2, 30, 20]] * 2
    assert answers["labels"].tolist() == [2, 1]
    assert answers["scores"].tolist() == [0.5, 0.25]
    assert backend.device == backend.facts()["device"] == "cpu"


def test_no_detection_is_an_answer(tmp_path: Path) -> None:
    path, script = adapter_of(tmp_path, "def predict(image): return [], [], []\n")
    answers = Adapter.read(script).open(*_opening(path, script)).run({"image": IMAGE})
    assert [values.shape for values in answers.values()] == [(0, 4), (0,), (0,)]


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ("None", "adapter-answer"),
        ("[[1, 2, 3, 4]], [1]", "adapter-answer"),
        ("{'boxes': [], 'labels': []}", "adapter-answer"),
        ("[[1, 2, 3, 4]], [1, 2], [0.5]", "adapter-answer"),
        ("[[1, 2, 3]], [1], [0.5]", "adapter-answer"),
        ("[[1, 2, 3, 4]], ['tiger'], [0.5]", "unknown-label"),
        ("[[1, 2, 3, 4]], [0], [0.5]", "unknown-label"),
        ("[[1, 2, 3, 4]], [3], [0.5]", "unknown-label"),
        ("[[1, 2, 3, 4]], [1.5], [0.5]", "unknown-label"),
    ],
)
def test_a_wrong_answer_is_refused(tmp_path: Path, answer: str, code: str) -> None:
    path, script = adapter_of(tmp_path, f"def predict(image): return {answer}\n")
    backend = Adapter.read(script).open(*_opening(path, script))
    with refused(f"detector/{code}", kind=WrongOutput):
        backend.run({"image": IMAGE})


def test_what_an_adapter_raises_is_one_line(tmp_path: Path) -> None:
    path, script = adapter_of(tmp_path, "def predict(image): raise KeyError('no\\nanchors')\n")
    with Sandbox(path, adapter=script) as box, refused("detector/raised", "KeyError", kind=DetectorCrashed):
        box.predict(IMAGE)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("def predict(image): pass", "adapter"),
        ("def load(path): pass", "adapter"),
        ("def load(path): raise OSError('no\\nfile')\ndef predict(image): pass", "adapter-raised"),
        ("import no_such_package", "adapter-raised"),
    ],
)
def test_an_adapter_that_does_not_open_is_refused(tmp_path: Path, code: str, expected: str) -> None:
    (tmp_path / "my.py").write_text(f"CATEGORIES = ['zebra']\n{code}\n")
    (tmp_path / "a.xyz").write_text("x")
    with (
        refused(f"submission/{expected}", "my.py"),
        Sandbox(tmp_path / "a.xyz", adapter=tmp_path / "my.py") as box,
    ):
        box.ready()


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("def load(:", "adapter"),
        ("\0", "adapter"),
        ("def load(path): pass", "adapter-categories"),
        ("CATEGORIES = list(names)", "adapter-categories"),
        ("CATEGORIES = 3", "adapter-categories"),
        ("CATEGORIES = []", "manifest"),
        ("CATEGORIES = ['a', 'a']", "manifest"),
    ],
)
def test_an_adapter_is_read_and_not_run_by_the_parent(tmp_path: Path, code: str, expected: str) -> None:
    (tmp_path / "my.py").write_text(f"{code}\nraise SystemExit(9)\n")
    (tmp_path / "a.xyz").write_text("x")
    with refused(f"submission/{expected}"):
        admit(tmp_path / "a.xyz", adapter=tmp_path / "my.py")
    with refused("submission/adapter"):
        admit(tmp_path / "a.xyz", adapter=tmp_path / "none.py")


def test_a_manifest_names_what_the_adapter_does_not(whole: tuple[Path, Path]) -> None:
    path, script = whole
    script.write_text(WHOLE.replace("CATEGORIES", "NAMES"))
    document = {"name": "mine", "categories": ["impala", "lion"], "category_map": {"lion": "lion"}}
    path.with_suffix(".manifest.json").write_text(json.dumps(document))
    manifest = admit(path, adapter=script).manifest
    assert (manifest.name, manifest.categories, manifest.label_names) == ("mine", ["impala", "lion"], {2: "lion"})
    assert manifest.input.layout == "hwc"


def test_the_record_says_which_adapter(whole: tuple[Path, Path], tmp_path: Path) -> None:
    path, script = whole
    data = herd(tmp_path)
    card = wildbench.evaluate(path, dataset=data, adapter=script, limit=2, device="cpu")
    assert "my.py" in str(card.submission.manifest)
    assert card.environment.isolation is not None
    assert (card.compute.macs.value, bool(card.compute.macs.reason)) == (None, True)
    assert card.size.file_bytes.value == path.stat().st_size + script.stat().st_size
    out = tmp_path / "card.json"
    command = ["evaluate", path, "--adapter", script, "--dataset", data, "--limit", "2", "--out", out]
    answer = CliRunner().invoke(app, list(map(str, command)))
    assert answer.exit_code == 0, answer.output
    assert out.exists()


def _opening(path: Path, script: Path) -> tuple[object, ...]:
    admitted = admit(path, adapter=script)
    return admitted.source, admitted.manifest, "auto", 1
