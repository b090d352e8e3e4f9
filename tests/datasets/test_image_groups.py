"""What keeps images together, and what does not."""

from typing import Any

import pytest
from codes import coded

from wildbench.datasets.image_groups import (
    camera_like_folders,
    check_keys,
    field_of,
    field_text,
    shared_values,
    together_by,
)
from wildbench.errors import DatasetError


@pytest.mark.parametrize("value", [None, "", " ", "unknown", "Unknown", "NaN", "null", "n/a", float("nan")])
def test_what_nobody_recorded_is_no_place(value: object) -> None:
    assert field_text(value) is None


def test_what_reads_alike_is_one_place() -> None:
    assert {field_text(value) for value in (7, "7", 7.0, " 7 ")} == {"7"}
    assert field_text({"lat": 1, "lon": 2}) == field_text({"lon": 2, "lat": 1})
    assert field_text(True) != field_text(1)


def test_images_are_kept_together_by_each_key() -> None:
    images = [
        {"file_name": "s1/c1/a.jpg", "location": "gate", "seq_id": None},
        {"file_name": "s1/c2/b.jpg", "location": None, "seq_id": 3},
        {"file_name": "s2/c1/c.jpg", "location": "gate", "seq_id": 3},
        {"file_name": "d.jpg", "location": "", "seq_id": ""},
    ]
    assert together_by(images, ("location",)) == [(0, 0), (0, 2)]
    assert together_by(images, ("seq_id",)) == [(1, 1), (1, 2)]
    assert [field_of(image, "folder:1") for image in images] == ["s1", "s1", "s2", None]
    assert shared_values([images[:2], images[2:]], "location") == ["gate"]


def test_a_key_that_no_image_has_is_refused() -> None:
    images: list[dict[str, Any]] = [{"id": 1, "file_name": "a.jpg", "site": "x"}]
    check_keys(["site"], images)
    for key in ("location", "folder:1", "folder:x"):
        with pytest.raises(DatasetError, check=coded("dataset/bad-group")):
            check_keys([key], images)


def test_folders_that_look_like_cameras() -> None:
    images = [{"file_name": f"cam{n % 2}/{n}.jpg"} for n in range(4)]
    assert camera_like_folders(images) == 2
    assert camera_like_folders([image | {"location": "x"} for image in images]) == 0
    assert camera_like_folders([{"file_name": f"{n}.jpg"} for n in range(4)]) == 0
