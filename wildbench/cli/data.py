"""Verbs under `wildbench data`."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wildbench.cli import tables
from wildbench.cli.options import ImagesOption, SkipOption, SplitFileOption
from wildbench.errors import DatasetError, OutputError
from wildbench.files import check_writable
from wildbench.progress import shown
from wildbench.text import counted

if TYPE_CHECKING:
    from wildbench.datasets.coco import Dataset
    from wildbench.datasets.findings import Finding
    from wildbench.datasets.transfer import ImportReport
    from wildbench.progress import Progress

NameArgument = Annotated[
    str, typer.Argument(help="A registered name, or any COCO detection JSON.", metavar="NAME|JSON")
]
StrictOption = Annotated[bool, typer.Option("--strict", help="Refuse with exit code 2 if anything is found.")]
app = typer.Typer(
    help="Inspect, import, check, split and correct data sets.", no_args_is_help=True, rich_markup_mode=None
)


@app.command("list")
def data_list() -> None:
    """List the registered data sets."""
    from wildbench.datasets.registry import registered

    tables.print_tables(tables.datasets_table(registered()))


@app.command("info")
def data_info(name: NameArgument, split_file: SplitFileOption = None) -> None:
    """Count a data set's images and boxes by category, split and size."""
    from wildbench.datasets.registry import summary

    tables.print_tables(*tables.summary_tables(summary(name, split_file)))


@app.command("generate")
def data_generate(name: Annotated[str, typer.Argument(help="A rendered data set, such as parksim.")]) -> None:
    """Render a data set into the cache."""
    from wildbench.datasets.registry import generate

    with shown() as progress:
        folder = generate(name, progress)
    typer.echo(f"images: {folder}")


@app.command("fetch")
def data_fetch(
    name: Annotated[str, typer.Argument(help="A data set that its authors publish for download, such as parks.")],
    url: Annotated[str | None, typer.Option(help="A mirror of the authors' archive.", metavar="URL")] = None,
    strict: StrictOption = False,
) -> None:
    """Download a data set into the cache, resuming an interrupted download, and import it."""
    from wildbench.datasets.registry import call, fetched

    own = fetched(name)
    with _strictly(), shown() as progress:
        report = call(own.fetch, url, strict=strict, progress=progress)
    _print_report(report, own.place, f"--dataset {name}")


@app.command("import")
def data_import(
    path: Annotated[
        Path, typer.Argument(help="A zip, a tar or a folder with labels; docs/dataset.md lists the forms.")
    ],
    out: Annotated[Path | None, typer.Option(help="Folder to write; left out, the data set becomes --name.")] = None,
    name: Annotated[str, typer.Option(help="Whose archive it is: a data set published for download.")] = "parks",
    form: Annotated[str | None, typer.Option(help="Such as voc, yolo or coco; recognized if left out.")] = None,
    images: Annotated[Path | None, typer.Option(help="Folder of the pictures of COCO files.")] = None,
    count_ignored: Annotated[
        bool, typer.Option("--count-ignored", help="Count boxes that are difficult, or to be ignored, as all others.")
    ] = False,
    replace: Annotated[bool, typer.Option("--replace", help="Replace --name, where it is there already.")] = False,
    strict: StrictOption = False,
    sheet: Annotated[
        Path | None, typer.Option("--contact-sheet", help="JPEG to write: up to 24 pictures with their boxes.")
    ] = None,
) -> None:
    """Turn labelled photographs into COCO files, and report everything that was wrong with them."""
    from wildbench.datasets.registry import call, fetched
    from wildbench.datasets.transfer import import_dataset

    if out is not None and replace:
        what = f"{out}: --replace is for named data sets only"
        raise DatasetError(what, code="replace-with-out", remedy="name a new folder, or leave --out out")
    if sheet:
        check_writable(sheet)
    own = fetched(name)
    with _strictly(), shown() as progress:
        if out is not None:
            report = import_dataset(
                path, out, form=form, images=images, count_ignored=count_ignored, strict=strict, progress=progress
            )
        elif own.import_ is not None:
            report = call(own.import_, path, form=form, strict=strict, replace=replace, progress=progress)
        else:
            raise DatasetError(f"{name} is only fetched, not imported", code="not-importable", remedy="give --out DIR")
    use = name if out is None else out / "annotations" / "all.json"
    _print_report(report, out or own.place, f"--dataset {use}")
    if sheet:
        _write_sheet(report, out or own.place, sheet)


def _write_sheet(report: ImportReport, folder: Path, path: Path) -> None:
    from wildbench.datasets.coco import Dataset
    from wildbench.datasets.transfer import contact_sheet
    from wildbench.pictures import save_jpeg

    save_jpeg(contact_sheet(Dataset(report.source, None, report.collection.coco, folder / "images")), path)
    typer.echo(f"contact sheet: {path}")


@app.command("export")
def data_export(
    name: NameArgument,
    to: Annotated[str, typer.Option(help="voc, yolo or coco.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write.")],
    split: Annotated[str | None, typer.Option(help="One split of a registered data set; all if left out.")] = None,
    split_file: SplitFileOption = None,
    images: ImagesOption = None,
) -> None:
    """Write a data set and its pictures in another form, and say what that form cannot hold."""
    from wildbench.datasets.registry import load_dataset, parts_of
    from wildbench.datasets.transfer import export_dataset

    with shown() as progress:
        parts = [
            load_dataset(name, split=one, split_file=split_file, images=images, progress=progress)
            for one in ([split] if split else parts_of(name, split_file))
        ]
        lost = export_dataset(parts, to, out, progress=progress)
    if lost:
        tables.print_tables(tables.lost_table(lost, to, out))
    typer.echo(f"{out}: {counted(sum(len(part.images) for part in parts), 'image')}")


@contextlib.contextmanager
def _strictly() -> Iterator[None]:
    """Print the findings that --strict refuses before the line that says so."""
    from wildbench.datasets.transfer import StrictFindings

    try:
        yield
    except StrictFindings as error:
        findings = error.report.collection.findings
        tables.print_tables(
            tables.findings_table(findings, len(findings))
        )  # nothing is written that could list the rest
        raise


def _print_report(report: ImportReport, folder: Path, use: str) -> None:

    findings = report.collection.findings
    every = f"{folder / 'import.json'} lists all"
    for line in tables.understood_lines(report):
        typer.echo(line)
    tables.print_tables(
        *([tables.findings_table(findings, hint=every)] if findings else []), tables.counts_table(report)
    )
    for line in [*tables.report_lines(report), f"use it by: {use}", *report.remarks]:
        typer.echo(line)


@app.command("validate")
def data_validate(
    coco: Annotated[Path, typer.Argument(help="A COCO detection JSON.")],
    images: ImagesOption = None,
    predictions: Annotated[Path | None, typer.Option(help="COCO results to check against its labels.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Print every finding, not three per code.")] = False,
    pixels: Annotated[
        bool, typer.Option("--pixels/--headers-only", help="Decode every picture, or read their headers alone.")
    ] = True,
) -> None:
    """Check a COCO file and its images: a code, a place and a remedy for each finding; exit code 2 on an error."""
    from wildbench.datasets.coco import UNREADABLE, check_coco, check_pictures, read_coco
    from wildbench.datasets.detection_checks import validate_predictions
    from wildbench.datasets.findings import has_error, refuse
    from wildbench.datasets.image_files import images_near

    try:
        folder = images or images_near(coco)
    except DatasetError as error:  # the labels are worth checking where the images are not at hand
        typer.echo(f"wildbench: images not checked: {error}", err=True)
        folder = None
    document, located, findings = check_coco(coco, folder)
    if document is None:
        refuse(coco, findings)
    if folder and pixels and not has_error([one for one in findings if one.code not in UNREADABLE]):
        unread = {finding.place for finding in findings if finding.code in UNREADABLE}
        findings += [one for one in check_pictures(coco, document, folder, located) if one.place not in unread]
    elif folder and not pixels:
        typer.echo("wildbench: of the images, headers alone were read", err=True)
    failed = _print_findings(coco, findings, every)
    if predictions is not None and not failed:
        failed = _print_findings(predictions, validate_predictions(predictions, read_coco(coco)), every)
    elif predictions is not None:
        typer.echo(f"wildbench: {predictions} not checked: mend {coco} first", err=True)
    if failed:
        raise typer.Exit(2)


def _print_findings(path: Path, findings: list[Finding], every: bool) -> bool:
    """Print the findings of a file, and say whether there is an error among them."""
    from wildbench.datasets.findings import has_error

    if findings:
        typer.echo(f"{path}:")
        tables.print_tables(tables.findings_table(findings, len(findings) if every else 3, hint="--all prints them"))
    else:
        typer.echo(f"{path}: no findings")
    return has_error(findings)


@app.command("split")
def data_split(
    name: NameArgument,
    out: Annotated[Path, typer.Option("--out", "-o", help="Split file to write; its stem is the split's name.")],
    seed: Annotated[int, typer.Option(help="Decides where the rules leave a choice.", min=0)] = 0,
    group_by: Annotated[
        str, typer.Option(help="Fields of images that keep them together, and folder:N, their first N folders.")
    ] = "location,seq_id",
    share: Annotated[
        list[str] | None, typer.Option(help="A part and its share, such as train=0.8; the last part is the tested one.")
    ] = None,
    duplicates: Annotated[
        bool, typer.Option("--duplicates/--no-duplicates", help="Look for near-duplicates, which takes time.")
    ] = True,
    images: ImagesOption = None,
    skip_unreadable: SkipOption = False,
) -> None:
    """Split into train, val and test by categories, box sizes and empty images; near-duplicates stay together."""
    from wildbench.datasets import splits
    from wildbench.datasets.coco import Dataset
    from wildbench.datasets.image_groups import BY, camera_like_folders, check_keys
    from wildbench.datasets.registry import load_whole, split_summary

    shares, keys = _shares(share), tuple(filter(None, group_by.split(",")))

    check_writable(out)
    if out.exists():
        raise OutputError(f"{out} exists", code="exists", remedy="remove it first, or name another file")
    with shown() as progress:
        whole = load_whole(name, images=images, skip_unreadable=skip_unreadable, progress=progress)
        if keys != BY:
            check_keys(keys, whole.images)
        together = splits.kept_together(whole, progress, by=keys, duplicates=duplicates)
    split = splits.stratified_split(whole, name=out.stem, seed=seed, shares=shares, together=together)
    chances = [splits.random_split(whole.coco, together, shares=shares, seed=seed) for seed in range(50)]
    misplaced = [splits.imbalance(whole.coco, parts, shares) for parts in (split.parts, *chances)]
    parts = {
        part: Dataset(name, part, splits.apply_split(whole.coco, split, part), whole.images_dir) for part in split.parts
    }
    splits.write_split(split, out)
    tables.print_tables(
        *tables.summary_tables({"name": name, "splits": {part: split_summary(data) for part, data in parts.items()}})
    )
    several = [group for group in together if len(group) > 1]
    typer.echo(f"kept together: {counted(sum(map(len, several)), 'image')} in {counted(len(several), 'group')}")
    typer.echo(
        f"misplaced share of a label, mean: {misplaced[0]:.3f}"
        f" (50 random splits: {sum(misplaced[1:]) / 50:.3f}, the best of them {min(misplaced[1:]):.3f})"
    )
    if keys == BY and (folders := camera_like_folders(whole.images)):
        typer.echo(
            f"wildbench: no image has a location or a seq_id, and they lie in {folders} folders: if those are cameras, "
            "keep them together by --group-by folder:N",
            err=True,
        )
    typer.echo(f"split: {out}")


def _shares(stated: list[str] | None) -> dict[str, float]:
    """Parts and their shares, which are made to add up to 1."""
    from wildbench.datasets.splits import SHARES

    shares: dict[str, float] = {}
    for one in stated or ():
        part, _, share = one.partition("=")
        try:
            shares[part.strip()] = float(share)
        except ValueError:
            shares[part.strip()] = -1.0
    if any(not part or share <= 0 for part, share in shares.items()) or len(shares) == 1:
        what, remedy = f"--share {' --share '.join(stated or ())}", "say --share train=0.8 --share test=0.2"
        raise DatasetError(what, code="bad-share", remedy=remedy)
    total = sum(shares.values())
    return {part: share / total for part, share in shares.items()} or SHARES


@app.command("leaks")
def data_leaks(
    names: Annotated[
        list[str], typer.Argument(help="A registered name, or one COCO JSON per part.", metavar="NAME|JSON")
    ],
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Page to write, with the pictures in it.")] = None,
    split_file: Annotated[Path | None, typer.Option(help="Take the parts of a single JSON from this file.")] = None,
    images: ImagesOption = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit code 2 if anything is found.")] = False,
) -> None:
    """Find images in different parts that show the same: copies, altered copies, pictures of one scene."""
    from wildbench.datasets.duplicates import find_leaks, leaks_page
    from wildbench.files import check_writable, write_atomically

    if out is not None:
        check_writable(out)
    with shown() as progress:
        report = find_leaks(_parts(names, split_file, images, progress), progress)
    tables.print_tables(*tables.leak_tables(report))
    shared = {"locations": report.shared_locations, "sequences": report.shared_sequences}
    for what, values in shared.items():
        if values:
            typer.echo(f"{what} in more than one part: {', '.join(values[:20])}{', ...' if len(values) > 20 else ''}")
    if out is not None:
        write_atomically(out, leaks_page(report).encode())
        typer.echo(f"page: {out}")
    if strict and (report.leaks or any(shared.values())):
        raise typer.Exit(2)


def _parts(names: list[str], split_file: Path | None, images: Path | None, progress: Progress) -> list[Dataset]:
    from wildbench.datasets import registry
    from wildbench.datasets.coco import Dataset
    from wildbench.datasets.findings import lines
    from wildbench.datasets.splits import apply_split, changed_labels, read_split

    if split_file is not None:
        if len(names) > 1:
            what = f"{split_file} divides one data set, not {len(names)}"
            raise DatasetError(what, code="several-data-sets", remedy="name the one it is of")
        split, whole = read_split(split_file), registry.load_whole(names[0], images=images, progress=progress)
        for note in lines(changed_labels(split, whole.coco)):
            typer.echo(f"wildbench: {note}", err=True)
        parts = {part: apply_split(whole.coco, split, part) for part in split.parts}
        return [Dataset(whole.name, part, coco, whole.images_dir) for part, coco in parts.items()]
    if len(names) == 1 and names[0] in registry.names():
        return registry.load_splits(names[0], images=images, progress=progress)
    return [registry.load_dataset(name, images=images, progress=progress) for name in names]


@app.command("patch")
def data_patch(
    coco: Annotated[Path, typer.Argument(help="A COCO detection JSON.")],
    patches: Annotated[list[Path], typer.Argument(help="Label patches, as wildbench review --apply writes them.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The corrected COCO JSON to write.")],
    rebase: Annotated[bool, typer.Option("--rebase", help="Accept labels that changed since, box by box.")] = False,
) -> None:
    """Apply label patches: all of them, or none, with a line for each conflict and exit code 2."""
    from wildbench.curation.patch import apply, conflicts, read_patches
    from wildbench.datasets.coco import read_coco, write_coco

    check_writable(out)
    data = read_coco(coco)
    by_path = read_patches(patches)
    problems = conflicts(data, by_path, rebase=rebase)
    for conflict in problems:
        typer.echo(f"wildbench: {conflict}", err=True)
    if problems:
        raise typer.Exit(2)
    write_coco(apply(data, by_path, rebase=rebase), out)
    typer.echo(f"{out}: {counted(sum(len(patch.changes) for patch in by_path.values()), 'change')} applied")
