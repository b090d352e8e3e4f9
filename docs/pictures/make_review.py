"""Make the pictures of docs/review.md: `python docs/pictures/make_review.py`.

Needs the extras review and test, and Chromium. It photographs the App while it shows the bundled scorecards.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

from wildbench.datasets.registry import bundled

PICTURES = Path(__file__).parent


def main() -> None:
    """Write review-*.jpg beside this file, and the command's own words to stdout."""
    cards = [bundled(f"baselines/scorecards/{name}.json") for name in ("reference", "reference-fp16")]
    command = [sys.executable, "-c", "from wildbench.cli import main; main()", "review", "--no-open", "--port", "0"]
    command += ["--quick", "--fresh", *(part for card in cards for part in ("--predictions", str(card)))]
    environment = os.environ | {"PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as review:
        assert review.stdout is not None
        url = ""
        while "http://" not in url:
            url = review.stdout.readline()
            sys.stdout.write(url)
        photograph(url.split()[0])
        review.terminate()


def photograph(url: str) -> None:
    """One picture of a saved view, one of a box being corrected."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_page(viewport={"width": 1440, "height": 800})
        page.set_default_timeout(180_000)
        page.add_locator_handler(page.get_by_text("Dismiss", exact=True), lambda button: button.click())
        page.goto(f"{url}?view=likely-wrong-labels")
        page.locator("[data-cy=looker]").first.wait_for()
        keep(page, "review-view.jpg")
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
