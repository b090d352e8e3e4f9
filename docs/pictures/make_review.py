"""Make the pictures of docs/review.md: `python docs/pictures/make_review.py`.

Needs the extras review and test, and Chromium. It stores the bundled reference in 4 bits a weight, evaluates that, and
photographs the App while it shows both.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

import wildbench
from wildbench.datasets.registry import bundled, cache_dir
from wildbench.files import sha256_of
from wildbench.submissions.archive import read_submission

PICTURES = Path(__file__).parent
NAME = "reference-int4"


def main() -> None:
    """Write review-*.jpg beside this file, and the command's own words to stdout."""
    with tempfile.TemporaryDirectory() as folder:
        card = evaluate_compressed(Path(folder))
        reference = bundled("baselines/scorecards/reference.json")
        command = [sys.executable, "-c", "from wildbench.cli import main; main()", "review", "--no-open", "--port", "0"]
        command += ["--quick", "--fresh", "--predictions", str(reference), "--predictions", str(card)]
        environment = os.environ | {"PYTHONUNBUFFERED": "1", "WILDBENCH_CACHE": str(cache_dir())}
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as review:
            assert review.stdout is not None
            url = ""
            while "http://" not in url:
                url = review.stdout.readline()
                sys.stdout.write(url)
            photograph(url.split()[0])
            review.terminate()


def evaluate_compressed(folder: Path) -> Path:
    """The reference in 4 bits a weight, and its scorecard."""
    dense = bundled("baselines/reference.pt")
    submission = read_submission(dense)
    detector = submission.manifest.detector
    wildbench.save_submission(
        submission.tensors,
        folder / f"{NAME}.pt",
        detector=detector.name,
        arguments=detector.arguments,
        categories=list(submission.manifest.categories),
        codec="int4,fp16",
        parent=sha256_of(dense),
    )
    wildbench.evaluate(folder / f"{NAME}.pt", dataset="parksim", out=folder / f"{NAME}.json")
    return folder / f"{NAME}.json"


def photograph(url: str) -> None:
    """One picture of a saved view, one of a box being corrected."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_page(viewport={"width": 1440, "height": 800})
        page.set_default_timeout(180_000)
        page.add_locator_handler(page.get_by_text("Dismiss", exact=True), lambda button: button.click())
        page.goto(f"{url}?view=forgotten-by-{NAME}")
        page.locator("[data-cy=looker]").nth(3).click()
        page.keyboard.press("Escape")
        keep(page, "review-forgotten.jpg")
        page.goto(f"{url}?view=likely-wrong-labels")
        page.locator("[data-cy=looker]").first.click()
        page.locator("[data-cy=annotate]").click()
        page.locator("[data-cy^=annotate-label-]").first.click()
        page.locator("[data-cy=root_reason_container]").wait_for()
        keep(page, "review-correct.jpg")
        browser.close()


def keep(page: Page, name: str) -> None:
    """Save what the page shows, once it has drawn its images."""
    page.wait_for_timeout(5000)
    path = PICTURES / name
    page.screenshot(path=path.with_suffix(".png"))
    Image.open(path.with_suffix(".png")).convert("RGB").save(path, quality=80)
    path.with_suffix(".png").unlink()


main()
