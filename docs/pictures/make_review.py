"""Make the pictures and the table of docs/review.md: `python docs/pictures/make_review.py`, some minutes.

Needs the extras review and test, and Chromium. It rounds the bundled reference to 4 bits, evaluates that on parksim
test, reviews both from scratch (edits that were not applied are dropped), and takes pictures of the App.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

import wildbench
from wildbench.files import sha256_of, write_atomically
from wildbench.resources import bundled
from wildbench.submissions.process import open_submission

PICTURES = Path(__file__).parent
DOCUMENT = PICTURES.parent / "review.md"


def main() -> None:
    """Write review-*.jpg beside this file, and the table that the command prints into docs/review.md."""
    with tempfile.TemporaryDirectory() as folder:
        compressed = round_to_4_bits(bundled("baselines/reference.pt"), Path(folder) / "reference-int4.pt")
        card = compressed.with_suffix(".json")
        wildbench.evaluate(compressed, device="cpu", out=card)
        review(bundled("baselines/scorecards/reference.json"), card)


def round_to_4_bits(dense: Path, out: Path) -> Path:
    """The simplest compression there is: round to nearest, one scale per output channel, nothing trained."""
    opened = open_submission(dense)
    made = opened.manifest
    wildbench.save_submission(
        opened.module,
        out,
        detector=made.detector.name,
        arguments=made.detector.arguments,
        categories=made.categories,
        codec="int4+huffman,fp16+huffman",
        authors=made.authors,
        licence=made.licence,
        method="weights rounded to 4 bits",
        training_data=made.training_data,
        parent=sha256_of(dense),
    )
    return out


def review(*cards: Path) -> None:
    """Run the command, put its table into the document, and photograph what it serves."""
    command = [sys.executable, "-c", "from wildbench.cli import main; main()", "review", "--no-open", "--port", "0"]
    command += ["--fresh", *(part for card in cards for part in ("--predictions", str(card)))]
    environment = os.environ | {"PYTHONUNBUFFERED": "1", "COLUMNS": "100"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as running:
        assert running.stdout is not None
        said: list[str] = []
        for line in running.stdout:
            if line.startswith("http://"):
                put("".join(said).partition("saved views")[0])
                photograph(line.split()[0])
                running.terminate()
                break
            said.append(line)


def put(said: str) -> None:
    """Replace what stands between the document's two marks."""
    text = DOCUMENT.read_text(encoding="utf-8")
    begin, end = "<!-- review prints -->", "<!-- end -->"
    lines = "\n".join(line.rstrip() for line in said.splitlines()).rstrip()
    new = f"{begin}\n```\n{lines}\n```\n{end}"
    write_atomically(DOCUMENT, re.sub(f"{begin}.*?{end}", lambda _: new, text, flags=re.DOTALL).encode())


def photograph(url: str) -> None:
    """One picture of a saved view, one of a box being corrected."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_page(viewport={"width": 1440, "height": 800})
        page.set_default_timeout(180_000)
        page.add_locator_handler(page.get_by_text("Dismiss", exact=True), lambda button: button.click())
        page.goto(f"{url}?view=forgotten-by-reference-int4")
        page.locator("[data-cy=looker]").first.wait_for()
        page.locator("[data-cy=checkbox-_label_tags]").click()
        keep(page, "review-forgotten.jpg")
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


if __name__ == "__main__":
    main()
