"""Fixtures that several rooms need.

The suite runs on two workers (pytest-xdist), each file on one of them: a session's fixture is made once by each. They
share the cache of rendered pictures; whoever comes second waits for the first (`wildbench.files.locked`).
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported: two workers, two cores
os.environ["WILDBENCH_LATENCY_BUDGET"] = "0"  # one pass: half a minute of timing for each toy proves nothing

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest

from wildbench import plugins

collect_ignore = ["plugins"]  # a package of its own, installed by the fixture `package`

REPOSITORY = Path(__file__).parents[1]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep a file's tests in one worker, and all that use FiftyOne: one machine, one of its databases at a time."""
    with_database = {item.path for item in items if "database" in getattr(item, "fixturenames", ())}
    for item in items:
        group = "fiftyone" if item.path in with_database else str(item.path)
        item.add_marker(pytest.mark.xdist_group(group))


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """The system's Chromium. A module's own: playwright's event loop must not outlive its tests."""
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def wildlife_real() -> Path:
    """Folder of real photographs that are not part of this repository."""
    folder = Path(os.environ.get("WILDBENCH_WILDLIFE_REAL") or REPOSITORY.parent / "shared" / "data" / "wildlife_real")
    if not folder.is_dir():
        pytest.skip(f"the real photographs are not at {folder}: set WILDBENCH_WILDLIFE_REAL")
    return folder


@pytest.fixture(scope="session")
def review_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the tests' reviews are kept: `review` in a cache of their own."""
    return tmp_path_factory.mktemp("cache") / "review"


@pytest.fixture(scope="session")
def database(review_folder: Path) -> Iterator[None]:
    """FiftyOne's database, one for all tests: a process has FiftyOne once."""
    from wildbench.curation.review import running

    with running(review_folder):
        yield


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which tests/plugins, the package of docs/extending.md, is installed; no process sees it yet."""
    folder = tmp_path_factory.mktemp("package")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder / "dist")]
    subprocess.run(build, cwd=REPOSITORY / "tests" / "plugins", check=True, capture_output=True)
    (wheel,) = (folder / "dist").glob("*.whl")
    ZipFile(wheel).extractall(folder / "site")
    return folder / "site"


@pytest.fixture
def savanna(package: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The package, as if it were installed beside wildbench for this test: its module's folder."""
    monkeypatch.syspath_prepend(package)
    registries = [value for value in vars(plugins).values() if isinstance(value, plugins.Registry)]
    for registry in registries:
        registry.__dict__.pop("_installed", None)
        monkeypatch.setattr(registry, "_resolved", {})
        monkeypatch.setattr(registry, "_targets", dict(registry._targets))
    yield package / "savanna"
    monkeypatch.undo()  # before the caches are cleared: nothing may find the package again
    for registry in registries:
        registry.__dict__.pop("_installed", None)
    for name in [name for name in sys.modules if name.partition(".")[0] == "savanna"]:
        del sys.modules[name]


@pytest.fixture(scope="session")
def shared_weights() -> Path:
    """Real files of YOLOX-Nano, which are no part of the repository."""
    folder = Path(os.environ.get("WILDBENCH_YOLOX_NANO") or REPOSITORY.parent / "shared" / "weights").resolve()
    folder = folder.parent if folder.is_file() else folder
    if not folder.is_dir():
        pytest.skip(f"no weights of YOLOX-Nano in {folder}: set WILDBENCH_YOLOX_NANO")
    return folder
