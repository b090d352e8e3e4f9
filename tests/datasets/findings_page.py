"""The page of findings, made from the files that lie; run as a script, it writes docs/findings.md."""

import tempfile
from pathlib import Path

from malformed import LIES, Lie, spoilt

from wildbench.datasets.coco import read_coco
from wildbench.datasets.documents import read_document
from wildbench.datasets.findings import Finding
from wildbench.datasets.predictions import validate_predictions
from wildbench.datasets.validation import validate

PAGE = Path(__file__).parents[2] / "docs" / "findings.md"

HEAD = """# Findings

Labels and detections can be wrong in ways that a score does not show. wildbench looks for them whenever it reads a
file, and names each by a code. `wildbench data validate COCO.json --predictions P.json` lists all of them; every
other command refuses a file at its first **error**, in one line with the code, and goes on after a **warning** or a
**note**, which it prints and keeps under `notes` in the scorecard.

- An error makes every number from the file doubtful.
- A warning is very likely a mistake, but it is judged by evidence and not by rule: a refusal could not be argued
  with. So boxes in another form are an error in labels, where they leave their images, and a warning in detections,
  where a box may leave its image and the form is seen only by how many labels it agrees with.
- A note is true, and may be meant so.

A form is suspected only where it agrees with at least three times as many labels as the numbers do as they are, and
with six more; only as many detections of an image as it has labels are looked at, the best ones. Weak detectors,
boxes of low score in any number and sets of a single image raise no warning.

This page is made by `python tests/datasets/findings_page.py` from the files that the tests read.

## Codes

"""

MIDDLE = """## Files that lie

Each is made from one honest pair of files by one change. `python tests/datasets/peers.py` makes them all, and prints
what other evaluators do with them.

"""

NEED_PICTURES = {
    "file-unreadable": ("error", "the file cannot be opened", "name a JSON file that can be read"),
    "image-missing": ("error", "no file of the name that an image has", "put it there, or name the folder by --images"),
    "image-unreadable": ("error", "a file that is no image", "replace the file"),
    "image-size": ("error", "another width or height in the file than stated", "state the size of the stored pixels"),
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
        document, findings = read_document(labels)
        if lie.which == "labels":
            findings += validate(document) if not any(entry.severity == "error" for entry in findings) else []
        else:
            findings = validate_predictions(detections, read_coco(labels))
    return next(finding for finding in findings if finding.code == lie.code)


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
    return HEAD + "\n".join(table + [codes[code] for code in sorted(codes)]) + "\n" + MIDDLE + "\n".join(lies) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
