"""A submission's whole way, in processes of their own: it is opened once, whether its format is ours or a package's."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from made_up_herd import dense_submission, herd
from small_networks import constant_detector

ROOT = Path(__file__).parents[2]

WATCH = """
import os, sys
log = os.open({log!r}, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

def watch(event, arguments):
    if event == "open" and isinstance(arguments[0], (str, bytes)):
        name = os.path.basename(os.fsdecode(arguments[0]))
        if name.startswith("watched."):
            os.write(log, f"{{os.getpid()}} {{name}}\\n".encode())

sys.addaudithook(watch)
"""

EVALUATE = """
import os, sys
from wildbench.submissions.process import _parent as sandbox
bare = sandbox._environment

def watched(*arguments):
    environment = bare(*arguments)
    return environment | {"PYTHONPATH": sys.argv[3] + os.pathsep + environment["PYTHONPATH"]}

sandbox._environment = watched
import wildbench
for path in sys.argv[4:]:
    card = wildbench.evaluate(path, dataset=sys.argv[1], limit=2, device="cpu", out=sys.argv[2])
    assert card.compute.macs.value is not None, card.compute.macs.reason
"""

USE = """
import json, pathlib, sys
import wildbench
from savanna.one_box import FORMAT
from wildbench.submissions.manifest import Manifest
from wildbench.submissions.admission import admit, embed
from wildbench.submissions.conformance import check_format

path = pathlib.Path("a.json")
path.write_bytes(b'{"box": [1, 2, 30, 20]}')
document = {"name": "a", "detector": {"name": "a"}, "categories": ["zebra"], "input": {"layout": "chw"}}
embed(path, Manifest.model_validate(document))
assert admit(path).format is FORMAT
parameters = wildbench.inspect_submission(path).parameters
check_format(FORMAT, lambda there: there.write_bytes(path.read_bytes()), pathlib.Path("empty"))
card = wildbench.evaluate(path, dataset="waterhole", device="cpu", out="card.json")
print(json.dumps([parameters, "torch" in sys.modules, "onnx" in sys.modules]))
"""


def run(code: str, *arguments: object, path: tuple[Path, ...]) -> str:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, (*path, ROOT))), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", code, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=110, env=environment, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return herd(tmp_path_factory.mktemp("herd"), images=2)


def test_one_evaluation_opens_the_file_once(tmp_path: Path, data: Path) -> None:
    """Neither the parent nor the child opens it a second time, nor the manifest beside it: nobody can swap them."""
    hooks, log = tmp_path / "hooks", tmp_path / "log"
    hooks.mkdir()
    (hooks / "sitecustomize.py").write_text(WATCH.format(log=str(log)))
    ours, graph = dense_submission(tmp_path / "ours" / "watched.pt"), constant_detector(tmp_path / "watched.onnx")
    parent = run(
        f"import os; print(os.getpid())\n{EVALUATE}", data, tmp_path / "card.json", hooks, ours, graph, path=(hooks,)
    )
    opened = [line.split() for line in log.read_text().splitlines()]
    assert {pid for pid, _ in opened} == {parent.strip()}, "the child opened it by its path"
    names = [name for _, name in opened]
    assert (names.count("watched.pt"), names.count("watched.onnx")) == (1, 1)
    assert names.count("watched.manifest.json") == 1


def test_a_package_brings_a_format_and_what_it_is_scored_on_and_by(
    package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a process that finds the package of docs/extending.md by its entry points alone."""
    monkeypatch.chdir(tmp_path)
    Path("empty").mkdir()
    assert json.loads(run(USE, path=(package,))) == [4, False, False], "its file needs neither"
    card = json.loads(Path("card.json").read_text())
    assert (card["submission"]["format"], card["dataset"]["name"]) == ("one-box", "waterhole")
    assert (card["dataset"]["images"], card["accuracy"]["detections"]) == (2, 2)
    assert card["compute"]["macs"]["value"] == 3 * 48 * 64
    assert card["measures"]["energy"]["value"] == pytest.approx(4.6e-9 * 3 * 48 * 64)
    assert (card["measures"]["energy"]["unit"], card["measures"]["energy"]["n"]) == ("mJ", 2)


def test_looking_at_a_file_imports_no_library_of_another_format(tmp_path: Path) -> None:
    graph = constant_detector(tmp_path / "a.onnx")
    code = (
        "import sys\nimport wildbench.submissions.inspection as inspection\n"
        "from wildbench.submissions.admission import admit\n"
        "admit(sys.argv[1])\nassert not {'torch', 'onnx', 'onnxruntime'} & sys.modules.keys()\n"
        "inspection.inspect_submission(sys.argv[2])\nassert not {'torch', 'onnxruntime'} & sys.modules.keys()\n"
    )
    run(code, ROOT / "baselines" / "reference-tiny.pt", graph, path=())
