"""Every reader, given files that are a little wrong: only a WildbenchError ever comes out, soon and within memory.

Each runs in a process of its own, derandomised: the same examples on every machine.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from arena import forked
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wildbench.errors import WildbenchError

EXAMPLES, SECONDS, ONE = 200, 5.0, 4.0
"""How many at most, in how many seconds, and how many one may take."""

Reader = Callable[[Path], object]
Base = Callable[[Path, Path, Path], Path]
"""Called with a folder, a dense submission and labels; writes an honest file."""

EDITS = st.lists(
    st.tuples(
        st.sampled_from(["flip", "insert", "delete", "repeat", "cut", "ones", "digits", "swap"]),
        st.sampled_from(["head", "tail", "any"]),
        st.floats(0, 1, exclude_max=True),
        st.binary(min_size=1, max_size=8),
    ),
    min_size=1,
    max_size=4,
)


def edited(data: bytes, edits: list[tuple[str, str, float, bytes]]) -> bytes:
    """A file with some bytes changed; half of them in its first and last kilobytes, where structure is."""
    changed = bytearray(data)
    for kind, where, share, given_bytes in edits:
        span = len(changed) if where == "any" else min(len(changed), 2048)
        at = int(share * span) + (len(changed) - span if where == "tail" else 0)
        size = len(given_bytes)
        if kind == "flip":
            changed[at : at + size] = bytes(a ^ b for a, b in zip(changed[at : at + size], given_bytes, strict=False))
        elif kind == "insert":
            changed[at:at] = given_bytes
        elif kind == "delete":
            del changed[at : at + 4 * size]
        elif kind == "repeat":
            changed[at:at] = changed[at : at + 64] * size
        elif kind == "cut":
            del changed[at:]
        elif kind == "ones":
            changed[at : at + size] = b"\xff" * len(changed[at : at + size])
        elif kind == "digits":
            changed[at : at + size] = b"9" * 40
        else:
            changed[at : at + size], changed[:size] = changed[:size], changed[at : at + size]
    return bytes(changed)


SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([0, -1, 2**31, 2**63, 2**64, 10**400, -(10**400)]),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(["", "\x00", "\ud800", "../x", "=1+1", "9" * 5000]),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
PLACES = st.lists(st.integers(0, 10**6), min_size=1, max_size=8)


def replaced(document: Any, place: list[int], value: Any) -> Any:
    """A JSON document with one value somewhere in it replaced."""
    copy = json.loads(json.dumps(document))
    parent, key, inside = None, None, copy
    for step in place:
        if isinstance(inside, dict) and inside:
            parent, key = inside, sorted(inside)[step % len(inside)]
        elif isinstance(inside, list) and inside:
            parent, key = inside, step % len(inside)
        else:
            break
        inside = parent[key]
    if parent is None:
        return value
    parent[key] = value
    return copy


def submission(path: Path) -> None:
    """All that is parsed of a submission before it runs."""
    from wildbench.submissions.admission import admit
    from wildbench.submissions.inspection import inspect_submission

    inspect_submission(admit(path))  # as the process does that reads it


def labels(path: Path) -> None:
    from wildbench.datasets.coco import read_coco

    data = read_coco(path)
    assert data.sha256
    assert len(data.labels) >= 0


def detections(path: Path) -> None:
    from wildbench.datasets.detection_checks import validate_predictions
    from wildbench.datasets.predictions import read_predictions
    from wildbench.datasets.registry import load_dataset

    data = load_dataset(path.with_name("herd.json"), with_images=False)
    validate_predictions(path, data)
    read_predictions(path, data)


def imported(path: Path) -> None:
    from wildbench.datasets.transfer import import_dataset

    out = path.parents[1] / "imported"
    shutil.rmtree(out, ignore_errors=True)
    import_dataset(path.parent, out)


def archived(path: Path) -> None:
    from wildbench.datasets.transfer._archives import unpacked

    with unpacked(path, path.parent):
        pass


def picture(path: Path) -> None:
    from wildbench.datasets.images import decode

    decode(path)


def card(path: Path) -> None:
    from wildbench.scorecard import read_scorecard

    repr(read_scorecard(path))


def row(path: Path) -> None:
    from wildbench.leaderboard._results import read_results

    read_results(path.parents[2])


def manifest(path: Path) -> None:
    from wildbench.submissions.manifest import parse_manifest

    parse_manifest(path.read_bytes(), path.name)


def recipe(path: Path) -> None:
    from wildbench.detectors import load_recipe

    load_recipe(path)


def honest(name: str) -> Base:
    def make(folder: Path, dense: Path, park: Path) -> Path:
        from honest_files import HONEST

        made = HONEST[name](folder, dense, park)
        return made / "model.safetensors" if made.is_dir() else made

    return make


def parts_of_voc(folder: Path, dense: Path, park: Path) -> Path:
    from made_up_parks import box, lay, picture, xml

    lay(folder / "source", {"a.jpg": picture(), "a.xml": xml(box(), box("zebra")), "train.txt": b"a\n"})
    return folder / "source" / "a.xml"


def parts_of_yolo(folder: Path, dense: Path, park: Path) -> Path:
    from made_up_parks import lay, picture

    files = {
        "images/a.jpg": picture(),
        "labels/a.txt": b"0 0.5 0.5 0.2 0.2\n" * 3,
        "data.yaml": b"names: [lion, zebra]\nval: images\n",
    }
    lay(folder / "source", files)
    return folder / "source" / "data.yaml"


def parts_of_text(folder: Path, dense: Path, park: Path) -> Path:
    return parts_of_yolo(folder, dense, park).parent / "labels" / "a.txt"


def packed(kind: str) -> Base:
    def make(folder: Path, dense: Path, park: Path) -> Path:
        return Path(shutil.make_archive(str(folder / "packed"), kind, park.parent))

    return make


def copy_of(which: Callable[[Path, Path], Path]) -> Base:
    return lambda folder, dense, park: Path(shutil.copy(which(dense, park), folder))


def results(folder: Path, dense: Path, park: Path) -> Path:
    shutil.copy(park, folder / "herd.json")
    found = [
        {key: entry[key] for key in ("image_id", "category_id", "bbox")} | {"score": 0.5}
        for entry in json.loads(park.read_text())["annotations"]
    ]
    (folder / "found.json").write_text(json.dumps(found))
    return folder / "found.json"


REPOSITORY = Path(__file__).parents[2]
SCORECARD = REPOSITORY / "baselines" / "scorecards" / "reference-tiny.json"


def stored(name: str) -> Base:
    def make(folder: Path, dense: Path, park: Path) -> Path:
        shutil.copytree(REPOSITORY / "leaderboard", folder / "board")
        return next(path for path in sorted((folder / "board" / "results").iterdir())) / name

    return make


def described(folder: Path, dense: Path, park: Path) -> Path:
    from small_networks import manifest as document

    (folder / "tiny.manifest.json").write_text(document().to_json())
    return folder / "tiny.manifest.json"


READERS: dict[str, tuple[Base, Reader]] = {
    "submission-pt": (copy_of(lambda dense, park: REPOSITORY / "baselines" / "reference-tiny.pt"), submission),
    **{
        f"submission-{name}": (honest(name), submission)
        for name in ("onnx", "ort", "torchscript", "export", "litert", "openvino", "ncnn", "safetensors")
    },
    "manifest": (described, manifest),
    "labels-coco": (copy_of(lambda dense, park: park), labels),
    "labels-voc": (parts_of_voc, imported),
    "labels-yolo-settings": (parts_of_yolo, imported),
    "labels-yolo": (parts_of_text, imported),
    "detections": (results, detections),
    "archive-zip": (packed("zip"), archived),
    "archive-tar": (packed("tar"), archived),
    "archive-gz": (packed("gztar"), archived),
    "archive-xz": (packed("xztar"), archived),
    "picture-png": (copy_of(lambda dense, park: park.with_name("1.png")), picture),
    "scorecard": (copy_of(lambda dense, park: SCORECARD), card),
    "recipe": (copy_of(lambda dense, park: REPOSITORY / "baselines" / "reference.toml"), recipe),
    "result-card": (stored("card.json"), row),
    "result-samples": (stored("samples.npy"), row),
    "result-sums": (stored("SHA256SUMS"), row),
}  # fmt: skip
DOCUMENTS = ["manifest", "labels-coco", "detections", "scorecard"]


def tried(read: Reader, path: Path, data: bytes) -> None:
    """One example: it is read, or refused in one line, and soon."""
    path.write_bytes(data)
    start, lines = time.monotonic(), 1
    try:
        read(path)
    except WildbenchError as error:
        lines = len(error.line().splitlines())
    assert lines == 1
    took = time.monotonic() - start
    assert took < ONE, f"{took:.1f} s"


def fuzzed(examples: Callable[[Callable[..., None]], Callable[[], None]]) -> int:
    """Run a test of hypothesis until the time is over; how many examples it tried."""
    end, count = time.monotonic() + SECONDS, 0

    def counted(try_one: Callable[[], None]) -> None:
        nonlocal count
        if time.monotonic() < end:
            count += 1
            try_one()

    options = settings(
        max_examples=EXAMPLES, derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck)
    )
    options(examples(counted))()
    return count


@pytest.mark.parametrize("name", READERS)
@pytest.mark.slow
def test_bytes_that_are_wrong_are_refused(name: str, tmp_path: Path, dense: Path, park: Path) -> None:
    base, read = READERS[name]

    def act() -> int:
        path = base(tmp_path, dense, park)
        data = path.read_bytes()
        tried(read, path, data)
        return fuzzed(lambda run: given(EDITS)(lambda edits: run(lambda: tried(read, path, edited(data, edits)))))

    end = forked(act, seconds=90, memory=2 << 30)
    assert end.kind == "ended", end
    assert end.value >= 1


@pytest.mark.parametrize("name", DOCUMENTS)
@pytest.mark.slow
def test_values_that_are_wrong_are_refused(name: str, tmp_path: Path, dense: Path, park: Path) -> None:
    base, read = READERS[name]

    def act() -> int:
        path = base(tmp_path, dense, park)
        document = json.loads(path.read_text())

        def try_one(place: list[int], value: Any) -> None:
            tried(read, path, json.dumps(replaced(document, place, value)).encode())

        return fuzzed(lambda run: given(PLACES, VALUES)(lambda place, value: run(lambda: try_one(place, value))))

    end = forked(act, seconds=90, memory=2 << 30)
    assert end.kind == "ended", end
    assert end.value >= 10
