"""Make the picture of the README: `python docs/pictures/make_leaderboard.py [BOARD] [--all FOLDER]`.

Needs the extra test, and Chromium. It photographs the page of a leaderboard's folder, which has to be built: by default
the repository's own. With `--all`, the board and its first compressed row, as a desk and a phone show them, light and
dark, are written to a folder to be looked at.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from wildbench.files import write_atomically
from wildbench.leaderboard import read_board
from wildbench.leaderboard.build import BOARD, page_of

PICTURE = Path(__file__).with_name("leaderboard.png")
REPOSITORY = Path(__file__).parents[2]
WIDTHS, SCHEMES = (390, 1280), ("light", "dark")


def main() -> None:
    """Write leaderboard.png beside this file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("board", type=Path, nargs="?", default=REPOSITORY / "leaderboard")
    parser.add_argument("--all", type=Path, help="folder for pictures of every kind")
    asked = parser.parse_args()
    with sync_playwright() as playwright:
        chromium = shutil.which("chromium")
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        page = opened(browser, asked.board, 1280, "light")
        end = page.locator(".chart").evaluate("chart => chart.getBoundingClientRect().bottom")
        write_atomically(PICTURE, page.screenshot(clip={"x": 0, "y": 0, "width": 1280, "height": end}, full_page=True))
        print(PICTURE)  # noqa: T201
        for width in WIDTHS if asked.all else ():
            for scheme in SCHEMES:
                photograph_all(browser, asked.board, width, scheme, asked.all)
        browser.close()


def photograph_all(browser: Browser, board: Path, width: int, scheme: str, folder: Path) -> None:
    """The board, and the page of its first compressed row, from top to bottom."""
    rows = read_board(board / BOARD).rows().values()
    compressed = next((row.id for row in rows if row.parent), None)
    page = opened(browser, board, width, scheme)
    for name, at in (("board", ""), ("row", f"#row={compressed}")):
        page.goto(page_of(board).resolve().as_uri() + at)
        settle(page)
        write_atomically(folder / f"{name}-{width}-{scheme}.png", page.screenshot(full_page=True))


def opened(browser: Browser, board: Path, width: int, scheme: str) -> Page:
    """The page, with its charts drawn."""
    page = browser.new_page(
        viewport={"width": width, "height": 900}, color_scheme="dark" if scheme == "dark" else "light"
    )
    page.goto(page_of(board).resolve().as_uri())
    settle(page)
    return page


def settle(page: Page) -> None:
    """Wait until every chart is drawn."""
    page.wait_for_function("document.querySelectorAll('.chart').length > 0")
    page.wait_for_function("[...document.querySelectorAll('.chart')].every((one) => one.querySelector('svg, .empty'))")


if __name__ == "__main__":
    main()
