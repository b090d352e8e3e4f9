"""Scorecards and boards that lie: each is refused in one line, or takes no rank."""

from __future__ import annotations

import copy
import hashlib
import json
import lzma
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from arena import Attack, cases, check, command, forked

import wildbench

Card = dict[str, Any]
Edit = Callable[[Card], object]


@pytest.fixture(scope="session")
def honest(tmp_path_factory: pytest.TempPathFactory, dense: Path, park: Path) -> Path:
    """A scorecard as evaluate writes it, its detections beside it, and the file it is of."""
    folder = tmp_path_factory.mktemp("honest")
    shutil.copy(dense, folder / "dense.pt")

    def evaluate() -> str:
        return repr(wildbench.evaluate(folder / "dense.pt", dataset=park, device="cpu", out=folder / "card.json"))

    end = forked(evaluate, seconds=90)
    assert end.kind == "ended", end
    return folder / "card.json"


def at(card: Card, path: str) -> tuple[dict[str, Any], str]:
    """The object that holds a key, and the key."""
    *parents, last = path.split(".")
    for parent in parents:
        card = card[parent]
    return card, last


def put(path: str, value: Any) -> Edit:
    """Set a key; a function is given what was there."""

    def edit(card: Card) -> None:
        place, key = at(card, path)
        place[key] = value(copy.deepcopy(place.get(key))) if callable(value) else value

    return edit


def figure(path: str, value: Any, interval: Any = None) -> Edit:
    """A figure with another value."""
    return put(path, lambda old: {**old, "value": value, "interval": interval, "reason": None})


def both(*edits: Edit) -> Edit:
    def edit(card: Card) -> None:
        for one in edits:
            one(card)

    return edit


def forged(honest: Path, folder: Path, edit: Edit, name: str = "forged") -> Path:
    """A copy of the honest card, edited, under a name and a hash of its own; detections beside it."""
    card = json.loads(honest.read_text())
    kept = honest.with_name(card["accuracy"]["predictions_file"])
    shutil.copy(kept, folder / kept.name)
    card["submission"]["name"] = name
    card["submission"]["sha256"] = hashlib.sha256(name.encode()).hexdigest()
    edit(card)
    path = folder / "card.json"
    path.write_text(json.dumps(card), encoding="utf-8", errors="surrogatepass")
    return path


def added(path: Path, park: Path) -> Any:
    """Add it to a board, build the board, and say what it became."""
    board = path.parent / "board"
    command("leaderboard", "add", str(path), "--board", str(board), "--dataset", str(park))
    command("leaderboard", "build", "--board", str(board))
    return json.loads((board / "leaderboard.json").read_text())


def typed(name: str, edit: Edit, quick: bool = False) -> tuple[str, Edit, bool]:
    return name, edit, quick


P50 = "latency.p50"
REFUSED: list[tuple[str, Edit, bool]] = [
    typed("macs-negative", figure("compute.macs", -1e9)),
    typed("macs-nan", figure("compute.macs", float("nan"))),
    typed("macs-infinite", figure("compute.macs", float("inf"))),
    typed("macs-text", figure("compute.macs", "0")),
    typed("macs-true", figure("compute.macs", True)),
    typed("bytes-negative", figure("size.file_bytes", -5)),
    typed("bytes-fraction", figure("size.file_bytes", 0.5)),
    typed("bytes-zero", figure("size.file_bytes", 0)),
    typed("parameters-negative", figure("size.parameters", -1)),
    typed("nonzero-above-parameters", figure("size.nonzero", 10**15)),
    typed("parts-not-the-whole", put("size.by_part", lambda old: {key: {**one, "value": 1} for key, one in old.items()})),
    typed("time-negative", figure(P50, -1.0)),
    typed("time-zero", figure(P50, 0.0)),
    typed("time-1e308", figure(P50, 1e308)),
    typed("time-p50-above-p99", both(figure(P50, 900.0), figure("latency.p99", 1.0))),
    typed("interval-reversed", put(P50, lambda old: {**old, "interval": [500.0, 1.0]})),
    typed("interval-elsewhere", put(P50, lambda old: {**old, "interval": [1e6, 2e6]})),
    typed("interval-of-three", put(P50, lambda old: {**old, "interval": [1.0, 2.0, 3.0]})),
    typed("unit-furlong", put(P50, lambda old: {**old, "unit": "furlong"})),
    typed("unit-html", put(P50, lambda old: {**old, "unit": "<b>ms</b>"})),
    typed("ratio-negative", figure("latency.reference_ratio", -1.0)),
    typed("memory-negative", figure("latency.peak_memory", -1.0)),
    typed("ap-above-1", figure("accuracy.ap", 1.5)),
    typed("ap-nan", figure("accuracy.ap", float("nan"))),
    typed("ap-better", figure("accuracy.ap", 0.999)),
    typed("ap50-better", figure("accuracy.ap50", 0.1)),
    typed("category-better", put("accuracy.per_category", lambda old: {key: {**one, "ap": {**one["ap"], "value": 0.123}} for key, one in old.items()})),
    typed("replicates-few", put("accuracy.uncertainty.replicates", 3)),
    typed("detections-fewer", put("accuracy.detections", 1)),
    typed("hash-of-other-detections", put("accuracy.predictions_sha256", "0" * 64)),
    typed("hash-no-hash", put("submission.sha256", "../../etc/passwd")),
    typed("data-set-of-another-name", put("dataset.sha256", "0" * 64)),
    typed("images-fewer", put("dataset.images", 2)),
    typed("limit-hidden", put("dataset.limit", 2)),
    typed("categories-fewer", put("dataset.categories", ["lion"])),
    typed("engine-of-nobody", put("protocol.engine", "mine 1.0")),
    typed("version-2", put("format_version", 2)),
    typed("version-true", put("format_version", True)),
    typed("unknown-key", put("submission.rank", 1)),
    typed("name-empty", put("submission.name", "")),
    typed("name-10000", put("submission.name", "n" * 10**4)),
    typed("name-1mb", put("submission.name", "n" * 10**6)),
    typed("name-number", put("submission.name", 7)),
    typed("notes-100000", put("notes", [f"note {number}" for number in range(10**5)])),
    typed("notes-objects", put("notes", [{}])),
    typed("method-2mb", put("submission.method", "m" * 2 * 10**6)),
    typed("modules-100000", put("compute.by_module", lambda old: {f"m{number}": next(iter(old.values())) for number in range(10**5)})),
    typed("layers-300000", put("size.by_layer", [{"layer": f"l{number}", "bytes": 1} for number in range(3 * 10**5)])),
    typed("detections-elsewhere", put("accuracy.predictions_file", "../../../../etc/passwd")),
    typed("detections-above", put("accuracy.predictions_file", "..")),
    typed("detections-itself", put("accuracy.predictions_file", "card.json")),
    typed("detections-nul", put("accuracy.predictions_file", "a\x00b")),
    typed("detections-long", put("accuracy.predictions_file", "p" * 5000)),
    typed("images-file-elsewhere", put("errors.images.file", "../../../../etc/passwd")),
    typed("parent-itself", put("submission.parent", hashlib.sha256(b"forged").hexdigest())),
    typed("parent-text", put("submission.parent", "my own")),
    typed("audits-2000", put("audits", [{"name": "fresh", "passed": True, "explanation": "x"}] * 2000)),
    typed("audit-of-a-lie", put("audits", [{"name": "too-good", "passed": True, "measured": {"value": 0.9, "unit": "1", "n": 3, "interval": None, "reason": None, "caution": None}, "bound": 0.2, "explanation": "x"}])),
    typed("audit-failed", put("audits", [{"name": "too-good", "passed": False, "measured": None, "bound": None, "explanation": "x"}])),
]  # fmt: skip


def attack_of(name: str, edit: Edit, quick: bool, honest: Path, end: Any = "*") -> Attack:
    return Attack(name, lambda folder: forged(honest, folder, edit), added, end, quick=quick)


@pytest.mark.parametrize(
    ("name", "edit"),
    [pytest.param(name, edit, id=name, marks=[] if quick else pytest.mark.slow) for name, edit, quick in REFUSED],
)
def test_a_lie_that_shows_is_refused(name: str, edit: Edit, honest: Path, tmp_path: Path, park: Path) -> None:
    check(attack_of(name, edit, False, honest), tmp_path, park)


def unranked(board: Any) -> bool:
    """It is on the board without a standing and on no front."""
    sections = board["sections"]
    rows = [row for section in sections for row in section["rows"]]
    on_a_front = [front for section in sections for front in section["fronts"] if front["rows"]]
    return bool(rows) and not on_a_front and all(row["standing"] is None for row in rows)


def faster(card: Card) -> None:
    for key in ("p50", "p90", "p99", "mean"):
        figure(f"{P50.partition('.')[0]}.{key}", 0.01)(card)


BELIEVABLE: list[tuple[str, Edit, bool]] = [
    typed("untouched-on-another-machine", lambda card: None),
    typed("time-invented", faster),
    typed("macs-invented", both(figure("compute.macs", 1), figure("compute.flops", 2))),
    typed("device-invented", put("latency.device", "ESP32, 520 kB")),
    typed("processor-invented", put("environment.cpu", "ESP32")),
    typed("costs-left-out", both(put("size", None), put("compute", None), put("latency", None))),
    typed("audits-left-out", put("audits", [])),
    typed("isolation-invented", put("environment.isolation", None)),
]  # fmt: skip


@pytest.mark.parametrize(("name", "edit"), [pytest.param(name, edit, id=name) for name, edit, _ in BELIEVABLE])
@pytest.mark.slow
def test_a_lie_that_cannot_show_takes_no_rank(name: str, edit: Edit, honest: Path, tmp_path: Path, park: Path) -> None:
    made = forged(honest, tmp_path, edit)
    end = forked(lambda: added(made, park))
    assert end.kind == "refused" or (end.kind == "ended" and unranked(end.value)), end


NAMES = {
    "cyrillic": "r\u0435ference",
    "fullwidth": "\uff52eference",
    "invisible-joiner": "refer\u2060ence",
    "zero-width": "refer\u200bence",
    "no-break-space": "refer\u00a0ence",
    "soft-hyphen": "refer\u00adence",
    "hangul-filler": "reference\u3164",
    "tags": "reference\U000e0041",
    "override": "ecnerefer\u202e",
    "variation": "reference\ufe0f",
    "mathematical": "\U0001d42beference",
    "capitals": "REFERENCE",
    "spaces": "  reference ",
    "l-for-i": "reference-1ite",
}
"""Names that look like one on the board."""


@pytest.mark.parametrize("kind", NAMES)
@pytest.mark.slow
def test_a_name_that_looks_like_another_is_refused(kind: str, honest: Path, tmp_path: Path, park: Path) -> None:
    first = "reference-lite" if kind == "l-for-i" else "reference"
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
    one = forged(honest, tmp_path / "a", lambda card: None, first)
    other = forged(honest, tmp_path / "b", put("submission.sha256", "1" * 64), NAMES[kind])
    board = str(tmp_path / "board")

    def act() -> None:
        command("leaderboard", "add", str(one), "--board", board, "--dataset", str(park))
        command("leaderboard", "add", str(other), "--board", board, "--dataset", str(park))

    end = forked(act)
    assert end.kind == "refused", end
    assert len(list((tmp_path / "board" / "results").iterdir())) == 1


INJECTED = '"><script>alert(1)</script><img src=x onerror=alert(2)>{{7*7}}${7*7}</style>|a`b[x](javascript:alert(1))'
SHOUT = {
    "html": INJECTED,
    "formula": "=cmd|' /C calc'!A0",
    "formula-after-space": " =1+1",
    "formula-after-tab": "\t=1+1",
    "formula-fullwidth": "\uff1d1+1",
    "formula-at": "@SUM(1)",
    "formula-plus": "+1+1",
    "formula-minus": "-1+1",
    "latex": "\\immediate\\write18{touch x}%$&#_{}~^",
    "escape": "red\x1b[31m\x1b]0;title\x07",
    "lines": "a\nb\r\nc\u2028d",
    "quotes": '"a",=1+1',
}


@pytest.mark.parametrize("kind", SHOUT)
@pytest.mark.slow
def test_texts_do_nothing_on_the_board_and_in_its_tables(kind: str, honest: Path, tmp_path: Path, park: Path) -> None:
    text = SHOUT[kind]
    edits = [put(f"submission.{key}", text) for key in ("name", "licence", "method", "training_data", "detector")]
    edits += [put("notes", [text]), put("environment.cpu", text), put("latency.device", text)]
    made = forged(honest, tmp_path, both(*edits))

    def act() -> dict[str, str]:
        added(made, park)
        board = ["--board", str(tmp_path / "board")]
        return {to: command("leaderboard", "export", "--to", to, *board) for to in ("csv", "markdown", "latex")}

    end = forked(act)
    assert end.kind in ("refused", "ended"), end
    if end.kind == "refused":
        return
    page = "".join(file.read_text() for file in (tmp_path / "board").glob("*.html"))
    assert "<script>alert" not in page
    assert "<img src=x" not in page
    cells = [cell.strip().strip('"') for line in end.value["csv"].splitlines() for cell in line.split(",")]
    assert not [cell for cell in cells if cell.lstrip(" \t\u3000")[:1] in ("=", "@", "+", "\uff1d")]
    assert "\\write18" not in end.value["latex"].replace("\\textbackslash", "")
    assert not [mark for told in end.value.values() for mark in ("\x1b", "\u2028") if mark in told]


def card_of(folder: Path, honest: Path, stored: bytes, name: str = "x.predictions.json.xz", raw: bytes = b"") -> Path:
    """A card whose detections are these bytes."""
    (folder / name).write_bytes(stored)
    digest = hashlib.sha256(raw).hexdigest()
    made = forged(
        honest, folder, both(put("accuracy.predictions_file", name), put("accuracy.predictions_sha256", digest))
    )
    return made


def squeezed(begin: bytes, piece: bytes, times: int, end: bytes = b"") -> bytes:
    """xz of a text that repeats."""
    packer = lzma.LZMACompressor()
    parts = [
        packer.compress(begin),
        *(packer.compress(piece * 1024) for _ in range(times // 1024)),
        packer.compress(end),
    ]
    return b"".join([*parts, packer.flush()])


DETECTIONS: dict[str, Callable[[], bytes]] = {
    "60-million-objects": lambda: squeezed(b"[", b"{},", 60 * 2**20, b"{}]"),
    "200-mb-of-brackets": lambda: squeezed(b"", b"[", 200 * 2**20),
    "900-mb-of-blanks": lambda: squeezed(b"[", b" ", 900 * 2**20, b"]"),
    "two-streams": lambda: lzma.compress(b"[]") * 2,
    "cut": lambda: lzma.compress(b"[]")[:-4],
    "no-xz": lambda: b"[]",
    "much-memory": lambda: lzma.compress(b"[]", filters=[{"id": lzma.FILTER_LZMA2, "preset": 9, "dict_size": 1 << 30}]),
}


@pytest.mark.parametrize("kind", DETECTIONS)
@pytest.mark.slow
def test_detections_are_bounded_before_they_expand(kind: str, honest: Path, tmp_path: Path, park: Path) -> None:
    made = card_of(tmp_path, honest, DETECTIONS[kind]())
    words = ["leaderboard", "check", str(made), "--board", str(tmp_path / "board"), "--dataset", str(park)]
    end = forked(lambda: command(*words), memory=1 << 30)
    assert end.kind == "refused", end


def million(park: Path) -> bytes:
    """More detections in one picture than anybody looks at."""
    image = json.loads(park.read_text())["images"][0]["id"]
    one = json.dumps({"image_id": image, "category_id": 1, "bbox": [1, 1, 5, 5], "score": 0.5}).encode()
    return b"[" + b",".join([one] * 10**6) + b"]"


@pytest.mark.slow
def test_a_million_detections_are_refused(honest: Path, tmp_path: Path, park: Path) -> None:
    raw = million(park)
    made = card_of(tmp_path, honest, raw, "x.predictions.json", raw)
    words = ["leaderboard", "check", str(made), "--board", str(tmp_path / "board"), "--dataset", str(park)]
    end = forked(lambda: command(*words), memory=2 << 30)
    assert end.kind == "refused", end


def board_of(honest: Path, folder: Path, park: Path) -> Path:
    """A board of one honest card."""
    board = folder / "board"
    words = ["--board", str(board)]
    command("leaderboard", "add", str(honest), *words, "--dataset", str(park))
    command("leaderboard", "build", *words)
    return board


def first(board: Path) -> Path:
    return next((board / "results").iterdir())


def linked(board: Path) -> None:
    card = first(board) / "card.json"
    shutil.copy(card, board.parent / "else.json")
    card.unlink()
    card.symlink_to(board.parent / "else.json")


def piped(board: Path) -> None:
    (first(board) / "card.json").unlink()
    os.mkfifo(first(board) / "card.json")


def resummed(board: Path, name: str, data: bytes) -> None:
    """Another file, with its sum made right."""
    (first(board) / name).write_bytes(data)
    lines = [
        f"{hashlib.sha256((first(board) / kept).read_bytes()).hexdigest()}  {kept}\n"
        for kept in ("card.json", "curves.json", "predictions.json.xz", "samples.npy")
    ]
    (first(board) / "SHA256SUMS").write_text("".join(lines))


def objects(board: Path) -> None:
    resummed(board, "predictions.json.xz", squeezed(b"[", b"{},", 60 * 2**20, b"{}]"))


def pickled(board: Path) -> None:
    resummed(
        board,
        "samples.npy",
        b"\x93NUMPY\x01\x00v\x00{'descr': '|O', 'fortran_order': False, 'shape': (2001,), }".ljust(127)
        + b"\n"
        + b"\x80\x02c"
        + b"posix\nsystem\n.",
    )


def huge_array(board: Path) -> None:
    resummed(
        board,
        "samples.npy",
        b"\x93NUMPY\x01\x00v\x00{'descr': '<f8', 'fortran_order': False, 'shape': (1099511627776,), }".ljust(127)
        + b"\n",
    )


def edited_text(name: str, old: str, new: str) -> Callable[[Path], object]:
    def edit(board: Path) -> None:
        path = board / name
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new, 1))

    return edit


def better(board: Path) -> None:
    card = json.loads((first(board) / "card.json").read_text())
    figure("accuracy.ap", 0.999)(card)
    resummed(board, "card.json", json.dumps(card).encode())


BOARDS: dict[str, Callable[[Path], object]] = {
    "card-edited": lambda board: (first(board) / "card.json").write_text((first(board) / "card.json").read_text() + " "),
    "card-better-with-its-sum": better,
    "card-a-link": linked,
    "card-a-pipe": piped,
    "card-gone": lambda board: (first(board) / "card.json").unlink(),
    "sums-gone": lambda board: (first(board) / "SHA256SUMS").unlink(),
    "sums-of-zeros": lambda board: (first(board) / "SHA256SUMS").write_bytes(bytes(10**6)),
    "row-gone": lambda board: shutil.rmtree(first(board)),
    "row-renamed": lambda board: first(board).rename(first(board).with_name("another-12345678")),
    "row-twice": lambda board: shutil.copytree(first(board), first(board).with_name("another-12345678")),
    "stray-folder": lambda board: (board / "results" / "stray").mkdir(),
    "stray-file": lambda board: (first(board) / "extra.py").write_text("x"),
    "page-edited": edited_text("index.html", "</body>", "<script>1</script></body>"),
    "board-edited": edited_text("leaderboard.json", '"dense"', '"tense"'),
    "board-nested": lambda board: (board / "leaderboard.json").write_text("[" * 10**6),
    "board-of-objects": lambda board: (board / "leaderboard.json").write_bytes(b"[" + b"{}," * 10**7 + b"{}]"),
    "detections-expand": objects,
    "samples-pickled": pickled,
    "samples-of-terabytes": huge_array,
    "curves-nested": lambda board: resummed(board, "curves.json", b"[" * 10**6),
}  # fmt: skip


@pytest.mark.parametrize("kind", BOARDS)
@pytest.mark.slow
def test_verify_names_what_was_changed(kind: str, honest: Path, tmp_path: Path, park: Path) -> None:
    def act() -> str:
        board = board_of(honest, tmp_path, park)
        BOARDS[kind](board)
        return command("leaderboard", "verify", "--board", str(board), "--dataset", str(park))

    end = forked(act, memory=2 << 30)
    assert end.kind == "refused", end


COMPARED = {
    "compare-nested": b"[" * 10**6,
    "compare-objects": b"[" + b"{}," * 10**7 + b"{}]",
    "compare-not-json": b"\xff\xfe{",
    "compare-empty": b"",
}


@cases(
    [
        Attack(name, lambda folder, data=data: _written(folder, data), "compare {} {} --dataset {park}", "scorecard/*")
        for name, data in COMPARED.items()
    ]
)
def test_compare_refuses_no_cards(attack: Attack, tmp_path: Path, park: Path) -> None:
    check(attack, tmp_path, park)


def _written(folder: Path, data: bytes) -> Path:
    (folder / "card.json").write_bytes(data)
    return folder / "card.json"
