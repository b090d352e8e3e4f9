"""The house: which room may import which, doors, no circles, names that can be guessed."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from statistics import median

ROOT = Path(__file__).parents[1] / "wildbench"

LAYERS = [
    {"cli"},
    {"sweeps", "leaderboard", "curation", "pairs"},
    {"distributed"},
    {"comparison", "evaluation", "training"},
    {"evaluator"},
    {"compression"},
    {"measures"},
    {"submissions"},
    {"detectors"},
    {"datasets"},
    {"parksim"},
    {"environment", "pictures"},
    {"scorecard"},
    {"categories"},
    {"progress", "records", "resources", "plugins"},
    {"files"},
    {"errors"},
    {"text"},
]
"""From left to right; a module imports from its own room and from the layers to its right."""

MOST_MODULES = 16
"""In one folder: more of them ask for a sub-room."""


def dotted(path: Path) -> str:
    """`wildbench/measures/size.py` is `wildbench.measures.size`."""
    return ".".join(path.relative_to(ROOT.parent).with_suffix("").parts).removesuffix(".__init__")


MODULES = {dotted(path): path for path in ROOT.rglob("*.py")}
DOORS = {
    dotted(path): path.with_suffix(".pyi") for path in ROOT.rglob("__init__.py") if path.with_suffix(".pyi").exists()
}


@cache
def behind(door: str) -> dict[str, str]:
    """The names on a door, and the module in which each is defined."""
    stub = ast.parse(DOORS[door].read_text(encoding="utf-8"))
    imports = [node for node in stub.body if isinstance(node, ast.ImportFrom)]
    return {alias.name: f"{door}.{node.module}" for node in imports for alias in node.names}


def imported(module: str) -> Iterator[tuple[str, str]]:
    """Every (package or module, name) of wildbench that a module imports, at its top or inside a function."""
    for node in ast.walk(ast.parse(MODULES[module].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names if alias.name.startswith("wildbench"))
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: relative import"
            if node.module and node.module.split(".")[0] == "wildbench":
                yield from ((node.module, alias.name) for alias in node.names)


def target(source: str, name: str) -> str:
    """The module that `from source import name` reads."""
    if f"{source}.{name}" in MODULES:
        return f"{source}.{name}"
    return behind(source).get(name, source) if source in DOORS else source


def arrows() -> dict[str, set[str]]:
    """Which modules each module reads."""
    return {module: {target(*pair) for pair in imported(module)} - {module} for module in MODULES}


def circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Strongly connected components of more than one node (Tarjan)."""
    order: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    components: list[list[str]] = []

    def visit(node: str) -> None:
        order[node] = low[node] = len(order)
        stack.append(node)
        for other in graph.get(node, ()):
            if other not in order:
                visit(other)
            if other in stack:
                low[node] = min(low[node], low[other])
        if low[node] == order[node]:
            at = stack.index(node)
            if len(stack) - at > 1:
                components.append(sorted(stack[at:]))
            del stack[at:]

    for node in graph:
        if node not in order:
            visit(node)
    return components


def room(module: str) -> str:
    """`wildbench.measures.size` stands in the room `measures`."""
    return [*module.split("."), ""][1]


def sub_room(module: str) -> str:
    """The folder a module stands in; for a module of a room, the module itself."""
    parts = module.split(".")
    return ".".join(parts[:3])


def test_a_module_imports_only_to_its_right() -> None:
    layer = {name: index for index, names in enumerate(LAYERS) for name in names}
    wrong = [
        f"{module} imports {other}"
        for module, others in arrows().items()
        for other in others
        if room(module) and room(other) and room(module) != room(other) and layer[room(other)] <= layer[room(module)]
    ]
    assert not wrong


def test_nothing_goes_in_a_circle() -> None:
    graph = arrows()
    assert circles(graph) == []
    folders: dict[str, set[str]] = {}
    for module, others in graph.items():
        own = sub_room(module)
        folders.setdefault(own, set()).update(sub_room(other) for other in others if sub_room(other) != own)
    assert circles(folders) == []


def test_a_sub_room_is_entered_by_its_door() -> None:
    sub_rooms = {name for name in MODULES if name.count(".") == 2 and MODULES[name].name == "__init__.py"}
    wrong = [
        f"{module} imports {source}"
        for module in MODULES
        for source, _ in imported(module)
        for inside in sub_rooms
        if source.startswith(f"{inside}.") and not module.startswith(inside)
    ]
    assert not wrong


def test_paths_can_be_guessed() -> None:
    paths = [path for name, path in MODULES.items() if path.name != "__init__.py" and room(name) != "cli"]
    names = Counter(path.stem.removeprefix("_") for path in paths)
    assert [name for name, count in names.items() if count > 1] == []
    folders = Counter(path.parent for path in MODULES.values())
    assert {folder.name: count for folder, count in folders.items() if count > MOST_MODULES} == {}
    assert 100 <= median(len(path.read_text(encoding="utf-8").splitlines()) for path in MODULES.values()) <= 200
