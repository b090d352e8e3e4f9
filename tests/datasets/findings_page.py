"""The page of findings, made from the files that lie; run as a script, it writes docs/findings.md."""

import ast
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from malformed import LIES, Lie, spoilt

from wildbench.datasets.coco import check_coco, read_coco
from wildbench.datasets.detection_checks import validate_predictions
from wildbench.datasets.findings import Finding

PAGE = Path(__file__).parents[2] / "docs" / "findings.md"

HEAD = """# Findings

Labels and detections can be wrong in ways that a score does not show. wildbench looks for such mistakes whenever it
reads a file, and gives each a code. `wildbench data validate COCO.json --predictions P.json --all` lists all of them.
Every other command refuses a file at its first **error**, in one line with the code, and continues after a **warning**
or a **note**, which it prints and keeps under `notes` in the scorecard.

- An error makes every number from the file doubtful.
- A warning is very likely a mistake, but it is a judgement on evidence, and a user could not overrule a refusal. So
  boxes in another format are an error in labels, where they leave their images, and a warning in detections, where a
  box may leave its image and the format shows only in how many labels it agrees with.
- A note is true, and may be intended.

Another format is suspected only if it agrees with at least three times as many labels as the numbers as they are, and
with at least six more. Only the best detections of each image are looked at, as many as it has labels. So neither a
weak detector nor any number of boxes with low scores raises a warning, and a handful of labels is too few for one.
Every detector confuses some categories. Names are suspected only if, for each category concerned, most found boxes have
the same wrong name, five times as many as the right one, and if these names form a cycle or cover most of what is
found.

`python tests/datasets/findings_page.py` makes this page from the files that the tests read.

## Codes

"""

PEERS = (
    "Of the 124 files with an error or a warning, pycocotools 2.0.11 scores 87 silently and hotcoco 1.3.0 77; "
    "hotcoco's health check, which its evaluation does not call, is silent on 54."
)
"""What peers.py prints."""

MIDDLE = f"""
## Files that lie

Each is made by one change from the same correct pair of files. {PEERS}
`python tests/datasets/peers.py` makes them all, and prints how each tool treats them.

"""

IMPORTING = """
## Importing

`wildbench data import` and `wildbench data fetch` also report these, and write each into `import.json`; an error leaves
out what it names. An image with a box left out is not scored for that category. Dots stand for values.

"""

SUBMISSIONS = """
## Submissions

`wildbench evaluate` also reports these, of the file and of its network's outputs, among the `notes` of the record.

"""

PACKAGE = Path(__file__).parents[2] / "wildbench"
SOURCES = [
    *(PACKAGE / "datasets" / f"{name}.py" for name in ("label_checks", "dialects", "detection_checks", "_readings")),
    *(PACKAGE / "datasets" / f"{name}.py" for name in ("findings", "image_files", "predictions")),
]
"""Modules that look for findings in labels and detections; the others import."""

NEED_PICTURES = {
    "file-unreadable": ("error", "the file cannot be opened", "name a JSON file that can be read"),
    "too-many-objects": (
        "error",
        "more objects than any data set, or 2,000 detections and masks in each image",
        "split it, or leave out what is not looked at",
    ),
    "image-too-large": ("error", "more than 200,000,000 pixels", "leave it out, or store it smaller"),
    "image-missing": ("error", "no file of the name that an image has", "put it there, or name the folder by --images"),
    "image-unreadable": ("error", "not an image file", "replace the file"),
    "image-size": ("error", "another width or height in the file than stated", "state the size of the stored pixels"),
    "image-size-unstated": (
        "warning",
        "no width and height; the file has them",
        "state them, so that labels can be read without pictures",
    ),
    "images-not-found": ("error", "no picture near the file", "name the folder by --images"),
    "file-name-spelling": (
        "warning",
        "names with backslashes, %-escapes, URLs, absolute paths or other letter case, found all the same",
        "write file_name with slashes, relative to the folder of the images",
    ),
    "orientation-unsure": (
        "warning",
        "a picture that its EXIF tag turns, of the stored size",
        "look at the boxes; they are taken to be of the stored pixels",
    ),
    "not-parquet": ("error", "a Parquet file that cannot be read", "write it again"),
    "no-such-form": ("error", "detections are not written in a form of that name", "name one that is: megadetector"),
    "boxes-partly-transposed": (
        "warning",
        "in some images labels agree only with boxes whose x and y are exchanged",
        "look at the labels of these images first: some tools write y before x",
    ),
    "boxes-partly-turned": (
        "warning",
        "in some images labels agree only with boxes turned by quarters: one of the two is of pictures that EXIF turns",
        "look at both in pictures as they are stored",
    ),
    "agreement-by-chance": (
        "note",
        "the detections agree with their own images' labels no better than with other images'",
        "check that they are of these images; a very weak detector is no better",
    ),
}
"""Codes that no file of the collection shows: severity, meaning, remedy."""


def found(lie: Lie) -> Finding:
    """The finding that names a lie."""
    with tempfile.TemporaryDirectory() as folder:
        labels, detections = spoilt(lie, Path(folder))
        if lie.which == "labels":
            findings = check_coco(labels)[2]
        else:
            findings = validate_predictions(detections, read_coco(labels))
    return next(finding for finding in findings if finding.code == lie.code)


def template(node: ast.expr, scope: ast.AST) -> str:
    """A text as it stands in the source, with dots for what is filled in; a name is looked up where it is assigned."""
    if isinstance(node, ast.Name):
        assigned = [
            entry.value
            for entry in ast.walk(scope)
            if isinstance(entry, ast.Assign) and entry.lineno < node.lineno and ast.unparse(entry.targets[0]) == node.id
        ]
        return template(assigned[-1], scope) if assigned else "..."
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "..." for part in node.values)
    return "..."


def other_findings(*rooms: str) -> Iterator[tuple[str, str, str]]:
    """Code, severity and message of what else in some rooms makes a finding, as its source says."""
    for path in sorted(path for room in rooms for path in (PACKAGE / room).rglob("*.py")):
        if path in SOURCES:
            continue
        functions = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)]
        for scope in functions:
            for node in ast.walk(scope):
                if isinstance(node, ast.Call) and ast.unparse(node.func) == "Finding":
                    severity = template(node.args[4], scope) if len(node.args) > 4 else "error"
                    yield template(node.args[0], scope), severity, template(node.args[2], scope)


def rows(findings: Iterable[tuple[str, str, str]]) -> list[str]:
    """A table of codes, severities and messages."""
    lines = {code: f"| `{code}` | {severity} | {cell(text)} |" for code, severity, text in findings}
    return ["| code | severity | message |", "| --- | --- | --- |", *(lines[code] for code in sorted(lines))]


def cell(text: str) -> str:
    """Text that a table of Markdown holds."""
    return text.replace("|", "\\|").replace("*", "\\*")[:200]


def page() -> str:
    """The whole page."""
    codes: dict[str, str] = {}
    for lie in LIES:
        if lie.code not in codes:
            finding = found(lie)
            shown = f"`{finding.place}`: {cell(finding.message)}"
            codes[lie.code] = f"| `{lie.code}` | {lie.severity} | {shown} | {cell(finding.remedy)} |"
    for code, (severity, meaning, remedy) in NEED_PICTURES.items():
        codes[code] = f"| `{code}` | {severity} | {meaning} | {remedy} |"
    table = ["| code | severity | for example | remedy |", "| --- | --- | --- | --- |"]
    lies = ["| file | what is wrong | code | severity |", "| --- | --- | --- | --- |"]
    lies += [f"| {lie.which} | {cell(lie.name)} | `{lie.code}` | {lie.severity} |" for lie in LIES]
    submissions = ("submissions", "measures")
    others = [IMPORTING, *rows(other_findings("datasets")), SUBMISSIONS, *rows(other_findings(*submissions))]
    parts = [*table, *(codes[code] for code in sorted(codes)), MIDDLE, *lies, *others]
    return HEAD + "\n".join(part.removesuffix("\n") for part in parts) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
