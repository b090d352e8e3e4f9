"""A submission's whole way, in processes of their own: it is opened once, and a package can bring its own format."""

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
from wildbench.submissions import sandbox
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

TALLY = '''
"""A format of another package: JSON with a constant answer."""

import json

import numpy as np

from wildbench.submissions.formats import Format, Listing, Tensor

MAGIC = b"TALLY"


class Tally(Format):
    name, suffix, title = "tally", ".tally", "a tally"
    runs_code = False
    libraries = ("decimal",)
    counter = "tally:count"

    def sniff(self, source):
        return source.data.startswith(MAGIC)

    def manifest(self, source):
        return json.loads(source.data[5:]).get("manifest")

    def embed(self, source, manifest):
        return MAGIC + json.dumps(json.loads(source.data[5:]) | {"manifest": json.loads(manifest.to_json())}).encode()

    def tensors(self, source, manifest):
        return Listing([Tensor("box", (4,), "float32", "json", 16, 4, True, 32, 32)])

    def open(self, source, manifest, device, threads):
        return Backend(json.loads(source.data[5:])["box"])


class Backend:
    device = "cpu"

    def __init__(self, box):
        self.box = box

    def run(self, image):
        return {"boxes": np.array([self.box], np.float32), "labels": np.array([1]), "scores": np.ones(1, np.float32)}

    def facts(self):
        return {"device": "cpu", "peak_memory": None}


def count(backend, image):
    return {"by_module": {"box": 7}}


FORMAT = Tally()
'''

USE = """
import json, pathlib, sys
import tally
import wildbench
from wildbench.submissions.contract import Manifest
from wildbench.submissions.formats import admit, embed
from wildbench.submissions.formats.conformance import check_format

path = pathlib.Path(sys.argv[2]) / "a.tally"
path.write_bytes(tally.MAGIC + json.dumps({"box": [1, 2, 30, 20]}).encode())
document = {"name": "t", "detector": {"name": "t"}, "categories": ["lion"], "input": {"layout": "chw"}}
embed(path, Manifest.model_validate(document))
assert admit(path).format is tally.FORMAT
inspection = wildbench.inspect_submission(path)
check_format(tally.FORMAT, lambda there: there.write_bytes(path.read_bytes()), pathlib.Path(sys.argv[3]))
card = wildbench.evaluate(path, dataset=sys.argv[1], limit=2, device="cpu")
print(json.dumps([card.submission.format, card.compute.macs.value, card.accuracy.detections, inspection.parameters]))
print(json.dumps("torch" in sys.modules), json.dumps("onnx" in sys.modules))
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
    assert names.count("watched.manifest.json") == 2, "once for each of the two"


def test_a_package_brings_a_format_of_its_own(tmp_path: Path, data: Path) -> None:
    site, info = tmp_path / "site", tmp_path / "site" / "tally-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "tally.py").write_text(TALLY)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: tally\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[wildbench.formats]\ntally = tally:FORMAT\n")
    (tmp_path / "empty").mkdir()
    card, imported = run(USE, data, tmp_path, tmp_path / "empty", path=(site,)).splitlines()
    assert json.loads(card) == ["tally", 7.0, 2, 4]
    assert imported == "false false", "its file needs neither"


def test_looking_at_a_file_imports_no_library_of_another_format(tmp_path: Path) -> None:
    graph = constant_detector(tmp_path / "a.onnx")
    code = (
        "import sys\nimport wildbench.submissions.inspection as inspection\n"
        "from wildbench.submissions.formats import admit\n"
        "admit(sys.argv[1])\nassert not {'torch', 'onnx', 'onnxruntime'} & sys.modules.keys()\n"
        "inspection.inspect_submission(sys.argv[2])\nassert not {'torch', 'onnxruntime'} & sys.modules.keys()\n"
    )
    run(code, ROOT / "baselines" / "reference-tiny.pt", graph, path=())
