"""FiftyOne itself: its database in a folder of ours, its App, and a box corrected there that comes back."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest
from codes import coded
from made_up_labels import found

from wildbench.curation.questions import WRONG
from wildbench.curation.review import bring_back, lay_out, running, serve
from wildbench.curation.samples import NamedPredictions
from wildbench.datasets.coco import Dataset
from wildbench.datasets.predictions import Detections
from wildbench.errors import CurationError

HOLD = """
import sys
from pathlib import Path
from wildbench.curation.review import running
with running(Path(sys.argv[1])):
    print("running", flush=True)
    sys.stdin.read()
"""


def servers(folder: Path) -> list[psutil.Process]:
    """The MongoDB servers that have a folder open."""
    data = str(folder / "mongo")
    processes = psutil.process_iter(["name", "cmdline"])
    return [one for one in processes if one.info["name"] == "mongod" and data in (one.info["cmdline"] or [])]


def test_the_database_is_open_to_this_machine_alone_and_nothing_is_kept_elsewhere_or_sent(
    database: None, review_folder: Path
) -> None:
    import fiftyone

    (server,) = servers(review_folder)
    assert [c.laddr.ip for c in server.net_connections("tcp") if c.status == psutil.CONN_LISTEN] == ["127.0.0.1"]
    assert fiftyone.config.do_not_track
    for place in (fiftyone.config.default_dataset_dir, fiftyone.config.model_zoo_dir, fiftyone.config.plugins_dir):
        assert Path(place).is_relative_to(review_folder)


def test_another_user_of_the_folder_joins_and_leaves_the_server_alone(database: None, review_folder: Path) -> None:
    import fiftyone

    before = servers(review_folder)
    with running(review_folder):
        assert servers(review_folder) == before
    assert fiftyone.list_datasets() is not None
    assert servers(review_folder) == before


def saves(field: str) -> Callable[[Any], bool]:
    """Whether an answer is the server's to an edit of this field."""
    return lambda answer: answer.request.method == "PATCH" and answer.ok and f"/{field}" in answer.request.post_data


@pytest.mark.slow
@pytest.mark.parametrize("name", ["SIGTERM", "SIGKILL"])
def test_the_server_ends_with_the_process_that_started_it(name: str, tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, start_new_session=True, text=True, **pipes) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == "running\n"
        started = psutil.Process(owner.pid).children(recursive=True)
        assert servers(tmp_path)[0] in started
        os.killpg(owner.pid, getattr(signal, name))  # as a terminal and a batch system do: to all of a group
    assert psutil.wait_procs(started, timeout=60)[1] == []


def test_a_saved_view_is_shown_and_a_box_corrected_in_it_comes_back(
    database: None, browser: Any, data: Dataset
) -> None:
    results = [found(12, 1, [50, 60, 20, 20], 0.9), found(11, 1, [10, 20, 100, 90], 0.8)]
    one = NamedPredictions("dense", "dense", Detections.from_coco(results))
    review = lay_out(data, [one], look=False, fresh=True)
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.set_default_timeout(120_000)
    page.add_locator_handler(page.get_by_text("Dismiss", exact=True), lambda button: button.click())
    hosts = set()
    page.on("request", lambda request: hosts.add(urlsplit(request.url).hostname))
    session = serve(review.name, 0)
    with pytest.raises(CurationError, check=coded("curation/port-taken")):
        serve(review.name, urlsplit(session.url).port or 0)
    page.goto(f"{session.url.partition('?')[0]}datasets/{review.name}?view={WRONG.replace(' ', '-')}")
    page.locator("[data-cy=looker]").first.wait_for()
    page.locator("[data-cy=saved-views-selection]").get_by_text(WRONG).wait_for()
    assert page.locator("[data-cy=looker]").count() == 1
    page.locator("[data-cy=looker]").first.click()
    page.locator("[data-cy=annotate]").click()
    page.locator("[data-cy-label=zebra]").first.click()
    with page.expect_response(saves("reason")), page.expect_response(saves("bounding_box")):  # together or one by one
        page.locator("[data-cy=root_reason_container] input").fill("wider than that")
        page.locator("[data-cy=root_dimensions_width_container] input").fill("0.125")
        page.keyboard.press("Tab")
    page.locator("[data-cy=annotate-edit-back]").click()
    old, new = {"bbox": [50.33, 60.77, 20, 20]}, {"bbox": [50.33, 60.77, 41.62, 20.0]}
    (change,) = bring_back(data, author="A", reason="none").changes
    assert (change.annotation_id, change.old, change.new, change.reason) == (3, old, new, "wider than that")
    assert hosts - {None} <= {"127.0.0.1", "fonts.googleapis.com", "fonts.gstatic.com"}
    page.close()
    session.close()
