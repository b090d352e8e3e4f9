"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

DatasetOption = Annotated[str, typer.Option(help="A registered name, or any COCO detection JSON.", metavar="NAME|JSON")]
ImagesOption = Annotated[Path | None, typer.Option(help="Folder of the images; found near the JSON if left out.")]
SplitOption = Annotated[str, typer.Option(help="Split of a registered data set; a JSON file is one split.")]
SplitFileOption = Annotated[
    Path | None, typer.Option(help="Take --split of a JSON by this file, as `data split` writes it.")
]
SkipOption = Annotated[
    bool, typer.Option("--skip-unreadable", help="Leave out images that cannot be decoded, and count them.")
]
MergeOption = Annotated[
    list[str] | None,
    typer.Option(help="Score categories as one: NAME=ONE,OTHER; * stands for all. Repeatable.", metavar="NAME=..."),
]
MapOption = Annotated[
    Path | None, typer.Option("--map", help="CSV, JSON or TOML of names and what each is read as.", metavar="FILE")
]
KnownOption = Annotated[
    str | None,
    typer.Option(help="Categories that it can tell: others are left out.", metavar="ONE,OTHER,..."),
]
ClassAgnosticOption = Annotated[bool, typer.Option("--class-agnostic", help="Score all categories as one.")]
ThresholdOption = Annotated[
    str | None,
    typer.Option(help="Score from which detections are taken, or a scorecard of the val split.", metavar="SCORE|CARD"),
]
ByOption = Annotated[
    str | None, typer.Option(help="Fields of the images to split figures by: location,time_of_day; seen.")
]
ByTableOption = Annotated[
    Path | None, typer.Option(help="CSV with file_name and other columns: split figures by those.")
]
LimitOption = Annotated[int | None, typer.Option(min=1, help="Use only the first N images.")]
DeviceOption = Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")]
ManifestOption = Annotated[
    Path | None, typer.Option(help="What it takes and answers; by default beside it, inside it, or read from it.")
]
AdapterOption = Annotated[
    Path | None, typer.Option(help="Python with load(path) and predict(image), for any other file.")
]
RequireJailOption = Annotated[
    bool, typer.Option("--require-jail", help="Refuse where not every wall around the detector stands.")
]
WriteManifestOption = Annotated[
    bool, typer.Option("--write-manifest", help="Keep what was read beside the file, with gaps marked ???.")
]
