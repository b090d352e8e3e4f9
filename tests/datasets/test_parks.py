"""From the archive, downloaded or handed over, to `--dataset parks`."""

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from codes import coded
from made_up_parks import box, lay, parks, picture, xml
from park_server import Server, serving

from wildbench import resources
from wildbench.categories import CATEGORIES
from wildbench.datasets.parks import PUBLISHED, archive_path, fetch_parks, import_parks, record_path
from wildbench.datasets.registry import load_dataset, registered, summary
from wildbench.errors import DatasetError, OutputError
from wildbench.files import sha256_of


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("WILDBENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def zipped(path: Path, files: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name), data, compression)
    return path


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with serving(Server(zipped(tmp_path / "source.zip", parks(20)).read_bytes())) as running:
        yield running


def test_before_the_import_one_line_says_how_to_get_it() -> None:
    for name in ("parks", "parks-authors"):
        for ask in (load_dataset, summary):
            with pytest.raises(DatasetError, check=coded("dataset/not-fetched", text=f"wildbench data fetch {name}")):
                ask(name)  # type: ignore[operator]
    infos = {info.name: info for info in registered()}
    assert infos["parks"].images is None
    assert "wildbench data fetch parks" in infos["parks"].title


def test_fetched_and_used_by_name(server: Server) -> None:
    report = fetch_parks(server.url)
    assert report.collection.findings == []
    assert json.loads(record_path().read_text())["sha256"] == sha256_of(archive_path()) == report.sha256
    found = [load_dataset("parks", split=split) for split in ("train", "val", "test")]
    assert sorted(image["id"] for data in found for image in data.images) == list(range(1, 21))
    assert sum(len(data.annotations) for data in found) == 20
    for data in found:
        assert tuple(data.category_names) == CATEGORIES
        assert all(data.image_path(image).is_file() for image in data.images)
        assert (data.name, data.split) in [("parks", split) for split in ("train", "val", "test")]
    for split, numbers in (("train", range(10)), ("val", range(10, 20))):
        names = {image["file_name"] for image in load_dataset("parks-authors", split=split).images}
        assert names == {f"{number}.jpg" for number in numbers}
    with pytest.raises(DatasetError, check=coded("dataset/no-such-split", text="train, val")):
        load_dataset("parks-authors")
    assert [info.images for info in registered() if info.name != "parksim"] == [20, 20]


def test_the_same_pictures_are_never_in_two_parts(tmp_path: Path) -> None:
    files = {}
    for number in range(24):
        files[f"images/{number}.jpg"] = picture(number % 12, (160, 120))  # each twice
        files[f"annotations/{number}.xml"] = xml(box("lion"), size=(160, 120))
    import_parks(lay(tmp_path / "twins", files))
    for split in ("train", "val", "test"):
        names = {Path(str(image["file_name"])).stem for image in load_dataset("parks", split=split).images}
        assert {str((int(name) + 12) % 24) for name in names} == names


def test_a_second_fetch_downloads_nothing_and_another_archive_is_refused(server: Server, tmp_path: Path) -> None:
    first = fetch_parks(server.url)
    asked = len(server.asked)
    assert fetch_parks(server.url).sha256 == first.sha256
    assert len(server.asked) == asked
    archive_path().unlink()
    server.data = zipped(tmp_path / "other.zip", parks(8)).read_bytes()
    with pytest.raises(DatasetError, check=coded("dataset/another-archive")) as error:
        fetch_parks(server.url)
    assert str(first.sha256) in str(error.value)
    assert sha256_of(archive_path()) in str(error.value)
    assert len(load_dataset("parks-authors", split="train").images) == 10
    with pytest.raises(DatasetError, check=coded("dataset/another-archive")):
        import_parks(tmp_path / "other.zip", replace=True)
    record_path().unlink()
    assert len(import_parks(tmp_path / "other.zip", replace=True).collection.coco["images"]) == 8
    assert len(load_dataset("parks-authors", split="train").images) == 4


def holding(path: Path, total: int) -> Path:
    """An archive of six images with so many lions."""
    counts = [total - 5, 1, 1, 1, 1, 1]
    files = {f"{number}.xml": xml(*[box()] * count) for number, count in enumerate(counts)}
    return zipped(path, files | {f"{number}.jpg": picture(number) for number in range(6)})


@pytest.mark.parametrize("total", [1309, 1409, 1408])
def test_what_is_handed_over_is_trusted_only_where_its_counts_are_published(total: int, tmp_path: Path) -> None:
    report = import_parks(holding(tmp_path / "a.zip", total))
    assert record_path().exists() == (total != 1408)
    remarks = "".join(report.remarks)
    assert remarks == "" if total != 1408 else "1,408 boxes, where the paper has 1309 or 1409" in remarks


def test_parks_is_not_replaced_by_accident(tmp_path: Path, cache: Path) -> None:
    import_parks(lay(tmp_path / "good", parks(10)))
    before = sorted(cache.rglob("*"))
    for source in (lay(tmp_path / "folder", parks(8)), zipped(tmp_path / "a.zip", parks(8))):
        with pytest.raises(OutputError, check=coded("output/exists", text="--out DIR")):
            import_parks(source)
    assert sorted(cache.rglob("*")) == before
    import_parks(tmp_path / "folder", replace=True)
    assert len(load_dataset("parks-authors", split="train").images) == 4


def test_an_archive_handed_over_does_not_keep_the_authors_out(server: Server, tmp_path: Path) -> None:
    import_parks(zipped(tmp_path / "mine.zip", parks(8)))
    assert fetch_parks(server.url).sha256 == sha256_of(archive_path())
    assert json.loads(record_path().read_text())["sha256"] == sha256_of(archive_path())
    assert len(load_dataset("parks-authors", split="train").images) == 10


def test_an_archive_spliced_of_two_is_refused_and_not_trusted(server: Server, tmp_path: Path) -> None:
    server.data = zipped(tmp_path / "a.zip", parks(20) | {"x.bin": bytes(3_000_000)}, zipfile.ZIP_STORED).read_bytes()
    middle = len(server.data) - 1_500_000
    server.data = server.data[:middle] + b"spliced" + server.data[middle + 7 :]
    with pytest.raises(DatasetError, check=coded("dataset/damaged-archive", text="it is not fetched again")):
        fetch_parks(server.url)
    assert not record_path().exists()
    with pytest.raises(DatasetError, check=coded("dataset/not-fetched")):
        load_dataset("parks")


def test_strict_leaves_what_was_there(tmp_path: Path, cache: Path) -> None:
    import_parks(lay(tmp_path / "good", parks(10)))
    before = sorted(cache.rglob("*"))
    with pytest.raises(DatasetError, check=coded("dataset/strict-findings")):
        import_parks(
            lay(tmp_path / "bad", parks(10) | {"parks/images/more.jpg": picture(77)}), strict=True, replace=True
        )
    assert sorted(cache.rglob("*")) == before


def test_too_few_images_to_split_are_not_parks(tmp_path: Path, cache: Path) -> None:
    folder = lay(tmp_path / "one", {"a.jpg": picture(), "a.xml": xml(box())})
    with pytest.raises(DatasetError, check=coded("dataset/empty-part", text="--out DIR is not")):
        import_parks(folder)
    assert list(cache.iterdir()) == []


def test_other_animals_are_not_parks(tmp_path: Path, cache: Path) -> None:
    folder = lay(tmp_path / "cats", {"a.jpg": picture(), "a.xml": xml(box("cat"))})
    with pytest.raises(DatasetError, check=coded("dataset/not-parks")):
        import_parks(folder)
    assert list(cache.iterdir()) == []


def test_an_archive_without_lists_has_no_authors_split(tmp_path: Path) -> None:
    files = {name: data for name, data in parks(10).items() if not name.endswith(".txt")}
    import_parks(lay(tmp_path / "bare", files))
    assert load_dataset("parks", split="train").images
    with pytest.raises(DatasetError, check=coded("dataset/no-split-file")):
        load_dataset("parks-authors", split="train")


def test_labels_edited_in_the_cache_are_refused(tmp_path: Path, cache: Path) -> None:
    import_parks(lay(tmp_path / "good", parks(10)))
    path = cache / "parks" / "annotations" / "all.json"
    path.write_text(path.read_text().replace("[10, 5, 20, 20]", "[10, 5, 20, 21]", 1))
    with pytest.raises(DatasetError, check=coded("dataset/split-of-other-labels")):
        load_dataset("parks", split="train")


def test_a_committed_split_is_used_and_refuses_other_labels(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import_parks(lay(tmp_path / "first", parks(10)))
    committed = tmp_path / "repository" / "annotations" / "parks" / "splits" / "wildbench-v1.json"
    split = json.loads((cache / "parks" / "splits" / "wildbench-v1.json").read_text())
    card = resources.bundled("annotations/parks/dataset.toml").read_bytes()
    lay(committed.parents[1], {"dataset.toml": card})
    lay(committed.parent, {committed.name: json.dumps(split | {"parts": {"train": [1, 2], "test": [3]}}).encode()})
    monkeypatch.setattr(resources, "_PACKAGE", tmp_path / "repository" / "wildbench")
    assert [image["id"] for image in load_dataset("parks").images] == [3]
    import_parks(lay(tmp_path / "other", parks(8)), replace=True)
    with pytest.raises(DatasetError, check=coded("dataset/split-of-other-images")):
        load_dataset("parks")


def test_the_published_counts_are_those_that_the_repository_keeps() -> None:
    paper = json.loads(resources.bundled("annotations/paper/counts.json").read_text())
    assert {"text": paper["total_in_text"], "table": paper["sum_of_counts"]} == PUBLISHED.totals
    assert paper["counts"] == PUBLISHED.counts
