"""What every workshop script does around its tool: read the command line, keep the artifacts and what goes with them.

The study starts a script as `python studies/formats/workshop/NAME.py OUT IMAGES [ARTIFACT...]`, in the tool's own
environment, where neither wildbench nor the study can be imported: this module needs the standard library alone.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import sys
import traceback
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

Detection = tuple[float, float, float, float, float, str]
"""x1, y1, x2, y2 in pixels of the original picture, score, name of the category."""

CATEGORIES = ("giraffe", "zebra", "elephant", "impala", "lion")
"""Of parksim; what the made-up detectors say they know."""

LOWEST = 0.02
"""Detections with a lower score are not compared."""


class Bench:
    """Where one family of tools puts its artifacts.

    Args:
        family: As in the study's table.
        tool: Who writes the files, as people call it.
        version: Of the tool.
    """

    def __init__(self, family: str, tool: str, version: str) -> None:
        parser = argparse.ArgumentParser()
        parser.add_argument("out", type=Path)
        parser.add_argument("images", type=Path)
        parser.add_argument("artifacts", nargs="*")
        arguments = parser.parse_args()
        self.family, self.tool, self.version = family, tool, version
        self.out: Path = arguments.out.resolve()
        self.pictures: list[Path] = sorted(arguments.images.resolve().glob("*.png"))
        self._chosen: list[str] = arguments.artifacts
        self._failed: list[str] = []

    @contextlib.contextmanager
    def artifact(self, name: str) -> Iterator[Path]:
        """An empty folder for an artifact, which is also the working directory; a failure inside is told, not raised.

        Ask `wants` first.
        """
        folder = self.out / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        before = Path.cwd()
        os.chdir(folder)
        try:
            yield folder
            print(f"{name}: made", flush=True)
        except Exception as error:  # a tool may fail in any way, and the others are to be tried
            traceback.print_exc()
            print(f"{name}: not made: {type(error).__name__}: {error}", flush=True)
            self._failed.append(name)
        finally:
            os.chdir(before)

    def wants(self, name: str) -> bool:
        """Whether an artifact is to be made: it was asked for, or none was, and it is not there yet."""
        return name in self._chosen if self._chosen else not (self.out / f"{name}.json").exists()

    def keep(
        self,
        name: str,
        file: str | Path,
        what: str,
        detections: Mapping[str, Iterable[Detection]] | None = None,
        *,
        sidecar: Mapping[str, Any] | None = None,
        same_resize: bool = True,
        refused: str | None = None,
    ) -> None:
        """Write down what an artifact is and what its tool finds with it.

        Args:
            name: Of the artifact, unique among all families.
            file: The file or folder to submit, in the artifact's folder.
            what: It is, in a few words: network, task, precision, settings.
            detections: By the picture's name; those below `LOWEST` are left out.
            sidecar: The manifest to write beside it where it does not go in by itself.
            same_resize: Whether wildbench can resize exactly as the tool does.
            refused: For what nobody expects to go in, a word that the refusal must have.
        """
        finds = {
            picture: [[*map(float, found[:5]), str(found[5])] for found in rows if float(found[4]) >= LOWEST]
            for picture, rows in (detections or {}).items()
        }
        record = {
            "artifact": name,
            "family": self.family,
            "tool": self.tool,
            "version": self.version,
            "file": str((self.out / name / file).relative_to(self.out)),
            "what": what,
            "sidecar": sidecar,
            "same_resize": same_resize,
            "refused": refused,
            "detections": finds,
        }
        (self.out / f"{name}.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")

    def close(self) -> None:
        """Exit 1 where an artifact was not made."""
        sys.exit(1 if self._failed else 0)


def spread(detections: Mapping[str, Sequence[Detection]]) -> str:
    """How many detections there are on each picture, and of how many categories, in one line."""
    counts = ", ".join(str(sum(found[4] >= LOWEST for found in rows)) for rows in detections.values())
    names = {found[5] for rows in detections.values() for found in rows if found[4] >= LOWEST}
    return f"{counts} detections of {len(names)} categories"
