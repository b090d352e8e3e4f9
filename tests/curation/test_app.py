from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from made_up_labels import found

from wildbench.curation.app import App
from wildbench.curation.named_predictions import NamedPredictions
from wildbench.curation.review import bring_back, lay_out
from wildbench.curation.views import WRONG
from wildbench.datasets.coco import Dataset
from wildbench.errors import CurationError

pytestmark = pytest.mark.usefixtures("database")


@pytest.fixture(scope="module")
def app(database: None, review_folder: Path) -> Iterator[App]:
    with App(review_folder, 0) as server:
        yield server


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.set_default_timeout(120_000)
    page.add_locator_handler(page.get_by_text("Dismiss", exact=True), lambda button: button.click())
    yield page
    page.close()


def test_a_saved_view_is_shown_and_a_box_corrected_in_it_comes_back(app: App, page: Any, data: Dataset) -> None:
    one = NamedPredictions(
        "dense", "dense", [found(12, 1, [50, 60, 20, 20], 0.9), found(11, 1, [10, 20, 100, 90], 0.8)]
    )
    review = lay_out(data, [one], look=False, fresh=True)
    hosts = set()
    page.on("request", lambda request: hosts.add(urlsplit(request.url).hostname))
    page.goto(app.url(review.name))
    page.locator("[data-cy=looker]").nth(4).wait_for()
    page.goto(app.url(review.name, WRONG))
    page.locator("[data-cy=looker]").first.wait_for()
    page.get_by_text("dense", exact=True).first.wait_for()
    page.locator("[data-cy=saved-views-selection]").get_by_text(WRONG).wait_for()
    assert page.locator("[data-cy=looker]").count() == 1
    page.locator("[data-cy=looker]").first.click()
    page.locator("[data-cy=annotate]").click()
    page.locator("[data-cy-label=zebra]").first.click()
    page.locator("[data-cy=root_reason_container] input").fill("wider than that")
    width = page.locator("[data-cy=root_dimensions_width_container] input")
    width.fill("0.125")
    with page.expect_response(lambda answer: answer.request.method == "PATCH" and answer.ok):
        width.press("Tab")
    page.locator("[data-cy=annotate-edit-back]").click()
    old, new = {"bbox": [50.33, 60.77, 20, 20]}, {"bbox": [50.33, 60.77, 41.62, 20.0]}
    for _ in range(300):  # the App sends each field by itself, when it is ready to
        changes = bring_back(data, author="A", reason="none").changes
        assert len(changes) == 1, changes
        change = changes[0]
        if change.reason != "none":
            break
        page.wait_for_timeout(100)
    assert (change.annotation_id, change.old, change.new, change.reason) == (3, old, new, "wider than that")
    assert hosts - {None} <= {"127.0.0.1", "fonts.googleapis.com", "fonts.gstatic.com"}


def test_a_port_that_is_taken_is_named(app: App, review_folder: Path) -> None:
    port = urlsplit(app.url("x")).port
    assert port is not None
    with pytest.raises(CurationError, match=f"port {port}: Address already in use; give another --port"):
        App(review_folder, port)
