"""The page in a real Chromium: what it shows, how it answers, and that it asks nobody for anything."""

import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from made_up_page import BASELINES, ELSEWHERE, ROWS, SCRIPT, results_of_page
from made_up_results import energy, with_energy

from wildbench.leaderboard._board import build_board
from wildbench.leaderboard._details import details
from wildbench.leaderboard._model import Board, Row
from wildbench.leaderboard._page import render
from wildbench.leaderboard._results import read_results

IN_FIRST = len(BASELINES) + ROWS + 1
WITH_ENERGY = 10
"""Rows, the first, that have a figure of another package."""

DRAWN = ".chart[data-drawn]"

CONTRAST = """() => {
  const channels = (text) => (text.match(/[\\d.]+/g) ?? []).map(Number);
  const light = (rgb) => {
    const [r, g, b] = rgb.map((c) => (c / 255 <= 0.03928 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (node) => {
    for (let one = node; one; one = one.parentElement) {
      const [r, g, b, a = 1] = channels(getComputedStyle(one).backgroundColor);
      if (a === 1) return [r, g, b];
    }
    return [255, 255, 255];
  };
  const found = [];
  for (const node of document.querySelectorAll("body *:not(script):not(noscript):not(option)")) {
    if (node.closest(".overlay") || node.closest(".unseen") || !node.getClientRects().length) continue;
    if (![...node.childNodes].some((child) => child.nodeType === 3 && child.textContent.trim())) continue;
    const style = getComputedStyle(node);
    const ink = node instanceof SVGElement ? style.fill : style.color;
    const [a, b] = [light(channels(ink).slice(0, 3)), light(behind(node))];
    found.push([(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), node.textContent.slice(0, 40)]);
  }
  return found.sort((a, b) => a[0] - b[0]);
}"""

UNNAMED = """() => {
  const html = (nodes) => [...nodes].map((node) => node.outerHTML);
  const all = (selector) => [...document.querySelectorAll(selector)];
  const named = (node) => node.textContent.trim() || node.getAttribute("aria-label") || node.labels?.length;
  const ids = all("[id]").map((node) => node.id);
  return [
    ...html(all("a, button, input, select, summary, [role=region], [role=figure]").filter((node) => !named(node))),
    ...html(all("input, select").filter((node) => !node.labels.length)),
    ...html(all("img:not([alt]), th:not([scope]), [tabindex]:not([tabindex='0']):not([tabindex='-1'])")),
    ...html(all("table").filter((node) => !node.caption && !node.ariaLabel)),
    ...ids.filter((id, place) => ids.indexOf(id) !== place),
    ...(all("h1").length === 1 && document.documentElement.lang === "en" ? [] : ["h1 or lang"]),
  ];
}"""


@pytest.fixture(scope="module")
def board_and_file(baselines_board: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Board, Path]:
    folder = tmp_path_factory.mktemp("chromium")
    results = [
        with_energy(one, 1.0 + number) if number < WITH_ENERGY else one
        for number, one in enumerate(results_of_page(baselines_board))
    ]
    with energy():
        board = build_board(results)
    (folder / "index.html").write_bytes(render(board, details(board, results)))
    return board, folder / "index.html"


@pytest.fixture
def board(board_and_file: tuple[Board, Path]) -> Board:
    return board_and_file[0]


@pytest.fixture
def page(browser: Any, board_and_file: tuple[Board, Path]) -> Iterator[Any]:
    """The page, opened; afterwards nothing was logged, and nothing was asked for but the file itself."""
    page = browser.new_page(viewport={"width": 1280, "height": 900}, color_scheme="light")
    page.set_default_timeout(60_000)
    said: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.on("dialog", lambda dialog: said.append(dialog.message))
    page.goto(board_and_file[1].as_uri())
    page.locator(DRAWN).first.wait_for()
    yield page
    assert said == []
    assert {url.split("#")[0].split(":")[0] for url in asked} <= {"file", "data"}
    assert {url.split("#")[0] for url in asked if url.startswith("file")} == {board_and_file[1].as_uri()}
    page.close()


def names(page: Any) -> list[str]:
    return page.locator(".board tbody .name a").all_inner_texts()


def open_row(page: Any, name: str) -> None:
    page.locator("#filter").fill(name)
    page.get_by_role("link", name=name, exact=True).first.click()
    page.locator("article").wait_for()
    page.locator(".chart:not([data-drawn])").first.wait_for(state="detached")


def open_figures(within: Any) -> Any:
    """The rows of the first table under a chart, which is built when it is unfolded."""
    within.get_by_text("The same in figures").first.click()
    within.locator(".folded table").first.wait_for()
    return within.locator(".folded table").first.locator("tbody tr")


def test_the_first_page_is_the_top_of_the_board(page: Any, board: Board) -> None:
    section = next(section for section in board.sections if section.dataset.name == "parksim")
    page.locator("#sections a", has_text="parksim").click()
    page.locator(DRAWN).wait_for()
    assert names(page) == [row.name for row in section.rows[:25]]
    assert page.locator(".board tbody tr").count() == 25
    first = page.locator(".board tbody tr").first.inner_text()
    ap = section.rows[0].ranked_by
    assert ap.value is not None
    assert f"{100 * ap.value:.1f}" in first
    assert page.locator(".pager").inner_text().split("\n")[1] == f"1–25 of {IN_FIRST}"
    page.get_by_role("button", name="Next").click()
    assert names(page) == [row.name for row in section.rows[25:50]]


def test_a_click_sorts_and_a_second_turns_it_round(page: Any, board: Board) -> None:
    rows = board.sections[0].rows
    bytes_of = {row.name: row.figures["file_bytes"].value or 0 for row in rows}
    header = page.locator("th", has=page.locator("[data-sort=measure-file_bytes]"))
    page.locator("[data-sort=measure-file_bytes]").click()
    assert header.get_attribute("aria-sort") == "ascending"
    assert [bytes_of[name] for name in names(page)] == sorted(bytes_of.values())[:25]
    page.locator("[data-sort=measure-file_bytes]").click()
    assert header.get_attribute("aria-sort") == "descending"
    assert [bytes_of[name] for name in names(page)] == sorted(bytes_of.values(), reverse=True)[:25]
    assert page.locator("[aria-sort]").count() == 1
    assert page.locator("#status").inner_text() == "Sorted by File size, descending"


def test_rows_without_the_figure_stand_last_whichever_way(page: Any) -> None:
    page.locator("#filter").fill("reference")
    for _ in range(2):
        page.locator("[data-sort=loss]").click()
        assert names(page) == ["reference-tiny", "reference"]


def test_every_column_sorts(page: Any) -> None:
    for key in page.locator("[data-sort]").evaluate_all("nodes => nodes.map(node => node.dataset.sort)"):
        page.locator(f"[data-sort={key}]").click()
        assert page.locator(".board tbody tr").count() == 25


def test_the_filter_looks_at_names_and_says_how_many(page: Any, board: Board) -> None:
    page.locator("#filter").fill("UP 07")
    assert names(page) == ["made up 07"]
    assert page.locator("#status").inner_text() == "1 row matches"
    assert page.locator(".heat tbody tr").count() == 1
    page.locator("#filter").fill("nobody")
    page.get_by_text("No row matches").wait_for()
    page.get_by_text("None of the rows that match").wait_for()
    page.locator("#filter").fill("")
    page.locator("#format").select_option("wildbench")
    kept = [row.name for row in board.sections[0].rows if row.format == "wildbench"]
    assert set(kept) == set(BASELINES)
    assert names(page) == kept


def test_a_long_method_is_cut_in_the_table_and_whole_on_its_page(page: Any, board: Board) -> None:
    method = next(row.method for row in board.sections[0].rows if row.name == "reference-tiny")
    assert method
    page.locator("#filter").fill("reference-tiny")
    cell = page.locator(".board tbody .method span")
    shown, whole = cell.evaluate("cell => [cell.clientHeight, cell.scrollHeight]")
    assert 0 < shown < whole / 2
    open_row(page, "reference-tiny")
    assert method in page.locator("article").inner_text()


def test_the_fronts_can_be_shown_alone(page: Any, board: Board) -> None:
    headlines = {column.key for column in board.headlines}
    fronts = [front for front in board.sections[0].fronts if front.axis in headlines]
    on_a_front = {name for front in fronts for name in front.rows}
    page.locator("#front").check()
    assert page.locator("#status").inner_text() == f"{len(on_a_front)} rows match"
    assert page.locator(".board tbody tr .mark").count() >= min(25, len(on_a_front))


def test_the_axes_of_the_chart_change(page: Any) -> None:
    chart = page.locator(DRAWN)
    page.locator(".chart[data-drawn]", has_text="File size, MB").wait_for()
    ticks = chart.inner_text()
    page.locator("#log").uncheck()
    page.wait_for_function("text => document.querySelector('.chart[data-drawn]')?.innerText !== text", arg=ticks)
    page.get_by_role("radio", name="MACs").check()
    page.locator(".chart[data-drawn]", has_text="MACs, GMAC").wait_for()


def test_the_axes_change_by_keyboard(page: Any) -> None:
    page.locator("#cost-file_bytes").focus()
    for title in ("MACs, GMAC", "Latency ratio, ×", "Latency, ms"):
        page.keyboard.press("ArrowRight")
        page.locator(".chart[data-drawn]", has_text=title).wait_for()
    assert page.evaluate("document.activeElement.id") == "cost-latency"
    assert page.evaluate("getComputedStyle(document.activeElement.nextElementSibling).outlineStyle") == "solid"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "within"
    shown = page.locator(".chart").get_attribute("aria-label")
    page.keyboard.press("ArrowDown")
    page.wait_for_function("told => document.querySelector('.chart[data-drawn]')?.ariaLabel !== told", arg=shown)
    page.keyboard.press("Tab")
    ticks = page.locator(DRAWN).inner_text()
    page.keyboard.press("Space")
    assert not page.locator("#log").is_checked()
    page.wait_for_function("text => document.querySelector('.chart[data-drawn]')?.innerText !== text", arg=ticks)


def test_time_is_a_ratio_across_machines_and_milliseconds_within_one(page: Any, board: Board) -> None:
    """Every point stands where its figure says, with both intervals, in the table as in the chart."""
    rows = board.sections[0].rows
    page.locator("#cost-latency_ratio").check()
    page.locator(".chart[data-drawn]", has_text="Latency ratio, ×").wait_for()
    assert drawn_costs(page) == expected_costs(rows, "latency_ratio")
    assert page.locator("#within").count() == 0
    page.locator("#cost-latency").check()
    options = page.locator("#within option").all_inner_texts()
    hardware = [row.within["latency"] for row in rows]
    assert options == sorted(set(hardware))
    for option in options:
        page.locator("#within").select_option(option)
        page.locator(".chart[data-drawn]", has_text="Latency, ms").wait_for()
        page.wait_for_function("told => document.querySelector('.chart').ariaLabel.includes(told)", arg=option)
        page.locator(DRAWN).wait_for()
        alike = [row for row in rows if row.within["latency"] == option]
        assert drawn_costs(page) == expected_costs(alike, "latency")
        assert f"{len(rows) - len(alike)} rows that match are not drawn" in page.locator("main").inner_text()
    assert {hardware.count(one) for one in hardware} == {ELSEWHERE + 1, len(rows) - ELSEWHERE - 1}


def drawn_costs(page: Any) -> list[tuple[float, ...]]:
    """Of each point its cost and its ends, as the chart has them; bars of both intervals are there to be seen."""
    read = """nodes => nodes.map(({ __data__: { datum: d } }) => [d.x, d.xlow, d.xhigh])"""
    bars = ".chart .mark-rule.role-mark line"
    extents = page.locator(bars).evaluate_all(
        "n => n.map(one => { const b = one.getBoundingClientRect(); return b.width > b.height ? 'cost' : 'ap'; })"
    )
    found = page.locator(".points_marks path").evaluate_all(read)
    assert extents.count("cost") == len(found) == extents.count("ap")
    return sorted(tuple(one) for one in found)


def expected_costs(rows: list[Row], name: str) -> list[tuple[float, ...]]:
    figures = [row.figures[name] for row in rows]
    six = [tuple(float(f"{value:.6g}") for value in (figure.value, *figure.interval)) for figure in figures]
    return sorted(six)


def test_the_chart_stands_in_figures_too(page: Any, board: Board) -> None:
    rows = open_figures(page)
    assert rows.count() == IN_FIRST
    front = board.sections[0].fronts[0]
    assert page.locator(".folded table td", has_text="yes").count() == len(front.rows)


def test_points_are_links_for_the_mouse_and_for_the_keyboard(page: Any, board: Board) -> None:
    page.locator(".points_marks path[tabindex='0']").wait_for()
    points = page.locator(".points_marks path")
    assert points.count() == IN_FIRST
    assert page.locator(".points_marks path[tabindex='0']").count() == 1
    page.locator(".points_marks path[tabindex='0']").focus()
    page.keyboard.press("ArrowRight")
    told = page.evaluate("document.activeElement.getAttribute('aria-label')")
    cheapest = sorted(board.sections[0].rows, key=lambda row: row.figures["file_bytes"].value or 0)
    assert told.startswith(f"{cheapest[1].name}: AP ")
    page.keyboard.press("Enter")
    page.locator("article").wait_for()
    assert page.locator("article h2").inner_text() == cheapest[1].name
    assert page.evaluate("document.activeElement.id") == "title"
    page.go_back()
    page.locator(".points_marks path").first.wait_for()


def test_everything_is_reached_by_keyboard(page: Any) -> None:
    page.locator(DRAWN).wait_for()
    page.locator("[data-sort=measure-ap50]").focus()
    page.keyboard.press("Enter")
    page.locator("th[aria-sort=descending]", has_text="AP50").wait_for()
    assert page.locator("th[aria-sort=descending]").inner_text().startswith("AP50")
    assert page.evaluate("document.activeElement.dataset.sort") == "measure-ap50"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.dataset.sort") == "measure-false_alarms"
    page.locator("#front").focus()
    page.keyboard.press("Space")
    assert page.locator("#front").is_checked()


def test_skipping_to_the_board_stays_on_the_row(page: Any) -> None:
    open_row(page, "reference-tiny")
    place = page.url
    page.locator(".skip").focus()
    page.keyboard.press("Enter")
    assert page.url == place
    assert page.locator("article h2").inner_text() == "reference-tiny"
    assert page.evaluate("document.activeElement.id") == "title"


def test_a_row_s_page_tells_all(page: Any, board: Board) -> None:
    row = next(row for row in board.sections[0].rows if row.name == "reference-tiny")
    open_row(page, row.name)
    text = page.locator("article").inner_text()
    for told in ("Precision and recall", "What the errors cost", "Can its scores be believed?", "Size by layer"):
        assert told in text
    assert page.locator(".chart svg").count() == 8
    assert page.locator(".lineage li").all_inner_texts()[0].startswith("reference ")
    assert page.locator(".overlay img").count() % 3 == 0
    assert page.locator(".overlay img").count() > 0
    assert all(page.locator(".overlay img").evaluate_all("nodes => nodes.map(node => node.naturalWidth > 100)"))
    assert row.errors
    gain = row.errors.tide["cls"].value
    assert gain is not None
    assert f"{100 * gain:.1f}" in page.locator(".chart", has_text="wrong category").inner_text()
    for number in range(page.get_by_text("The same in figures").count()):
        page.get_by_text("The same in figures").nth(number).click()
    page.locator(".folded table").nth(7).wait_for()
    assert page.locator(".folded table").count() == 8
    page.locator("#category").select_option("lion")
    page.locator("section", has_text="AP50 of lion").locator(DRAWN).wait_for()


def test_a_ranger_s_figures_stand_beside_the_parent_s(page: Any, board: Board) -> None:
    open_row(page, "reference-tiny")
    blocks = {
        name: page.locator("section.block", has=page.get_by_role("heading", name=name))
        for name in ("As an empty filter", "Small and far animals", "By time of day")
    }
    for block in blocks.values():
        assert "its parent" in block.locator(".chart").inner_text()
    points = blocks["As an empty filter"].locator("[aria-label*='from score']")
    told = [point.get_attribute("aria-label") for point in points.all()]
    assert len(told) == 6  # two recalls and the operating point, for both
    assert any(text.startswith("this detector, keep 95 %") and "false alarms 140 per 1,000" in text for text in told)
    assert blocks["Small and far animals"].locator("[aria-label*='found']").count() >= 8
    open_figures(blocks["By time of day"])
    assert "night" in blocks["By time of day"].locator(".folded table").inner_text()


def test_rows_of_another_data_set_are_apart_and_say_what_is_missing(page: Any, board: Board) -> None:
    page.locator("#sections a", has_text="somewhere").click()
    page.get_by_role("heading", name="somewhere").wait_for()
    assert page.locator("#sections a[aria-current]").inner_text() == "somewhere"
    assert names(page) == ["reference"]
    page.get_by_text("No measured row has both an AP and a cost").wait_for()
    page.locator(".board .name a").click()
    text = page.locator("article").inner_text()
    assert "COCO results bring no model" in text
    assert "no card of a data set says" in text


def test_a_script_in_a_name_is_a_name(page: Any) -> None:
    open_row(page, SCRIPT.replace("\u2028", ""))
    assert "<img src=x onerror=" in page.locator("article h2").inner_text()
    assert page.evaluate("window.pwned") is None
    assert page.locator("img[src=x]").count() == 0


def test_the_policy_lets_nothing_out_and_nothing_in(browser: Any, board_and_file: tuple[Board, Path]) -> None:
    page = browser.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(board_and_file[1].as_uri())
    page.evaluate("""() => {
      const script = document.createElement("script");
      script.textContent = "window.pwned = 1";
      document.body.append(script);
    }""")
    assert page.evaluate("window.pwned") is None
    assert page.evaluate("fetch('https://example.org').then(() => 'out', () => 'kept')") == "kept"
    assert not any(url.startswith("http") for url in asked)
    page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_words_can_be_read_everywhere(scheme: str, width: int, page: Any) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    page.locator("#theme").select_option(scheme)
    page.get_by_text("How to read this").click()
    for row in (None, "reference-tiny"):
        if row:
            open_row(page, row)
        worst, where = page.evaluate(CONTRAST)[0]
        assert worst >= 4.5, where
        assert page.evaluate(UNNAMED) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_the_theme_follows_the_system_until_one_is_chosen(page: Any) -> None:
    ground = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(ground)
    page.emulate_media(color_scheme="dark")
    dark = page.evaluate(ground)
    assert dark != light
    page.locator("#theme").select_option("light")
    assert page.evaluate(ground) == light
    page.reload()
    page.locator(DRAWN).wait_for()
    assert page.evaluate(ground) == light
    assert page.locator("#theme").input_value() == "light"


def test_on_a_phone_rows_are_sorted_from_a_list(page: Any) -> None:
    page.set_viewport_size({"width": 360, "height": 800})
    assert not page.locator("[data-sort=measure-ap]").is_visible()
    page.get_by_label("Sort by").select_option("measure-file_bytes")
    assert names(page)[:2] == ["made up 00", "made up 01"]
    assert page.get_by_role("row").count() >= 25


def test_bytes_are_drawn_by_layer_and_stand_in_a_table(page: Any, baselines_board: Path) -> None:
    results = read_results(baselines_board)
    size = next(result.card.size for result in results if result.card.submission.name == "reference-tiny")
    assert size
    assert size.by_layer
    open_row(page, "reference-tiny")
    block = page.locator("section.block", has=page.get_by_role("heading", name="Size by layer"))
    rows = open_figures(block).evaluate_all("rows => rows.map(row => [...row.cells].map(cell => cell.innerText))")
    assert [(name, int(stored.replace("\u202f", ""))) for name, stored, _ in rows] == [
        (one.layer, one.bytes) for one in size.by_layer
    ]
    assert sum(one.bytes for one in size.by_layer) == size.file_bytes.value
    bars = block.locator(".mark-rect path").evaluate_all("bars => bars.map(bar => bar.ariaLabel)")
    assert [bar.split(":")[0] for bar in bars] == [one.layer for one in size.by_layer]


def test_an_older_card_falls_back_to_parts(page: Any) -> None:
    open_row(page, "made up 07")
    page.get_by_role("heading", name="Size by part").wait_for()
    assert "The card does not tell of layers" in page.locator("article").inner_text()


def test_what_a_tooltip_says_is_said_on_the_page_too(page: Any) -> None:
    """Intervals, counts, reasons and cautions of every tooltip are words on the row's own page."""
    page.locator("#filter").fill("reference-tiny")
    told = page.locator(".board tbody [title], .heat tbody [title]").evaluate_all("all => all.map(one => one.title)")
    assert len(told) > 15
    open_row(page, "reference-tiny")
    text = page.locator("main").inner_text()
    parts = {part for sentence in told for part in sentence.split("; ")[1:] if not part.startswith("n = ")}
    for part in parts:
        if "paired intervals" not in part:
            assert part.removeprefix("95 % interval ") in text, part
    assert re.search(r"Rank \d+ to \d+ of", text)
    assert page.locator("article [title]").count() == 0


def test_points_and_bars_say_what_their_tooltips_say(page: Any) -> None:
    """Every mark that has a tooltip has the same words as its name."""
    marks = """() => [...document.querySelectorAll(".chart svg [aria-roledescription]")]
      .filter((mark) => mark.__data__?.datum?.told).map((mark) => [mark.ariaLabel, mark.__data__.datum.told])"""
    found = page.evaluate(marks)
    open_row(page, "reference-tiny")
    found += page.evaluate(marks)
    assert len(found) > IN_FIRST + 40
    assert [pair for pair in found if pair[0] != pair[1]] == []


def test_nothing_moves_and_headings_stand_in_order(page: Any) -> None:
    levels = "[...document.querySelectorAll('h1, h2, h3')].map(one => Number(one.tagName[1]))"
    landmarks = "['header', 'header > nav', 'main', 'footer'].map(one => document.querySelectorAll(one).length)"
    moving = """() => [...document.querySelectorAll("*")].map((one) => getComputedStyle(one))
      .filter((style) => style.transitionDuration !== "0s" || style.animationName !== "none").length
      + document.getAnimations().length"""
    for row in (None, "reference-tiny"):
        if row:
            open_row(page, row)
        found = page.evaluate(levels)
        assert found[:2] == [1, 2]
        assert all(after <= before + 1 for before, after in pairwise(found))
        assert page.evaluate(landmarks) == [1, 1, 1, 1]
        assert page.evaluate(moving) == 0


def test_every_stop_of_the_tab_key_shows_where_it_is(page: Any) -> None:
    page.locator("h2").focus()
    outline = """() => { const one = document.activeElement;
      const shown = one.type === "radio" ? one.nextElementSibling : one;
      return [one.outerHTML.slice(0, 80), getComputedStyle(shown).outlineStyle]; }"""
    for _ in range(24):
        page.keyboard.press("Tab")
        where, style = page.evaluate(outline)
        assert style != "none", where


@pytest.mark.parametrize("width", [390, 1280])
def test_names_in_the_chart_cover_nothing(page: Any, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    page.locator("#filter").fill("reference")
    page.wait_for_function("() => document.querySelectorAll('.points_marks path').length === 2")
    boxes = page.locator(".names_marks text, .points_marks path").evaluate_all(
        "all => all.map(one => { const b = one.getBoundingClientRect(); return [b.left, b.top, b.right, b.bottom]; })"
    )
    chart = page.locator(DRAWN).bounding_box()
    assert len(boxes) > 2
    for place, one in enumerate(boxes):
        assert one[0] >= chart["x"]
        assert one[2] <= chart["x"] + chart["width"] + 1
        for other in boxes[:place]:
            assert one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] + 2 or other[3] <= one[1] + 2


def test_a_measure_of_another_package_is_a_column_and_an_axis(page: Any, board: Board) -> None:
    page.locator("[data-sort=measure-energy]").click()
    cheapest = sorted(
        (row for row in board.sections[0].rows if "energy" in row.figures), key=lambda row: row.figures["energy"].value
    )
    assert len(cheapest) == WITH_ENERGY
    assert names(page)[:WITH_ENERGY] == [row.name for row in cheapest]
    assert page.locator(".board thead th", has_text="Energy").inner_text().split() == ["Energy", "↑", "mJ"]
    page.get_by_role("radio", name="Energy").check()
    page.locator(".chart[data-drawn]", has_text="Energy, mJ").wait_for()
    assert page.locator(".points_marks path").count() == WITH_ENERGY
    (front,) = [front for front in board.sections[0].fronts if front.axis == "energy"]
    assert page.locator(".mark", has_text="energy").count() == len(front.rows)
