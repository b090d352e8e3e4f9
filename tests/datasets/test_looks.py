"""What was seen of images is kept: an interrupted search goes on where it was, and a changed image is seen again."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from codes import coded
from made_up_photographs import photograph, save

from wildbench.datasets.duplicates import find_pairs, groups, look_at, pairs_among
from wildbench.datasets.duplicates._duplicates import LOOKS
from wildbench.errors import DatasetError, OutputError

COUNT = 70


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("many")
    return [save(photograph(seed, 60, 80), folder / f"{seed}.jpg") for seed in range(COUNT)]


def test_an_interrupted_search_goes_on_where_it_was(paths: list[Path], tmp_path: Path) -> None:
    file, calls = tmp_path / "cache" / LOOKS, []

    def interrupt(task: str, done: int, total: int) -> None:
        calls.append((done, total))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        look_at(paths, interrupt, file=file)
    assert calls == [(64, COUNT)]
    looks = look_at(paths, lambda task, done, total: calls.append((done, total)), file=file)
    assert calls[1:] == [(COUNT, COUNT)]
    look_at(paths, interrupt, file=file)  # nothing is left to look at
    own = look_at(paths)
    assert [look.seen_sha256 for look in looks] == [look.seen_sha256 for look in own]
    assert all((one.keypoints.points == other.keypoints.points).all() for one, other in zip(looks, own, strict=True))


def test_a_changed_image_is_looked_at_again(tmp_path: Path) -> None:
    picture = save(photograph(1), tmp_path / "a.jpg")
    (before,) = look_at([picture], file=tmp_path / LOOKS)
    save(photograph(2), picture)
    (after,) = look_at([picture], file=tmp_path / LOOKS)
    assert before.file_sha256 != after.file_sha256


def test_a_damaged_file_is_said_and_every_picture_that_cannot_be_decoded_is_named(
    paths: list[Path], tmp_path: Path
) -> None:
    (tmp_path / LOOKS).write_bytes(b"no database, but more than a hundred bytes of something else" * 9)
    with pytest.raises(OutputError, check=coded("output/looks-not-kept", text=LOOKS)):
        look_at(paths[:1], file=tmp_path / LOOKS)
    broken = [tmp_path / name for name in ("one.jpg", "two.jpg")]
    for one in broken:
        one.write_bytes(paths[0].read_bytes()[:200])
    with pytest.raises(DatasetError, check=coded("dataset/image-unreadable", text="one.jpg, two.jpg")):
        look_at([*paths[:1], *broken])


def test_pairs_that_others_connect_are_left_out_where_only_groups_are_wanted(tmp_path: Path) -> None:
    pixels = photograph(3)
    series = [save(pixels[step : 200 + step], tmp_path / f"{step}.jpg") for step in range(0, 40, 8)]
    other = save(photograph(4), tmp_path / "other.jpg")
    every = find_pairs([*series, other])
    connecting = find_pairs([*series, other], connecting=True)
    assert len(every) == 10
    assert len(connecting) <= len(every)
    assert groups(6, [(pair.a, pair.b) for pair in connecting]) == [[0, 1, 2, 3, 4], [5]]


def test_many_equal_images_make_few_pairs(tmp_path: Path) -> None:
    """A thousand black frames would make half a million."""
    first = save(np.zeros((60, 80, 3), np.uint8), tmp_path / "0.jpg")
    black = [first, *(Path(shutil.copy(first, tmp_path / f"{number}.jpg")) for number in range(1, 30))]
    pairs = pairs_among(look_at(black))
    assert {(pair.a, pair.b) for pair in pairs} >= {(0, other) for other in range(1, 30)}
    assert len(pairs) < 60
    assert {pair.kind for pair in pairs} == {"same file"}
    across = pairs_among(look_at(black), parts=[0] * 10 + [1] * 20)
    assert {(pair.a, pair.b) for pair in across} == {(0, other) for other in range(10, 30)} | {
        (one, 10) for one in range(10)
    }
