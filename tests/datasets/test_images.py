import io
import json
import threading
from pathlib import Path

import cv2
import numpy as np
import pytest
from codes import coded
from made_up_parks import lay, picture
from PIL import Image

from wildbench.datasets.coco import check_pictures
from wildbench.datasets.images import Pixels, decode, read_ahead
from wildbench.datasets.registry import load_dataset
from wildbench.errors import DatasetError

RGB = np.random.default_rng(0).integers(0, 256, (31, 47, 3), dtype=np.uint8)


def saved(folder: Path, name: str, image: Image.Image, **options: object) -> Path:
    image.save(folder / name, **options)
    return folder / name


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.tif"])
def test_lossless_files_come_back_exactly(tmp_path: Path, name: str) -> None:
    pixels = decode(saved(tmp_path, name, Image.fromarray(RGB)))
    assert pixels.dtype == np.uint8
    assert pixels.flags.c_contiguous
    assert pixels.flags.writeable
    assert (pixels == RGB).all()


def test_lossless_webp_comes_back_exactly(tmp_path: Path) -> None:
    assert (decode(saved(tmp_path, "a.webp", Image.fromarray(RGB), lossless=True)) == RGB).all()


@pytest.mark.parametrize("mode", ["L", "LA", "RGBA", "P", "1"])
def test_other_modes_become_rgb(tmp_path: Path, mode: str) -> None:
    image = Image.fromarray(RGB).convert(mode)
    assert (decode(saved(tmp_path, "a.png", image)) == np.asarray(image.convert("RGB"))).all()


def test_alpha_is_dropped_not_blended(tmp_path: Path) -> None:
    clear = np.dstack([RGB, np.zeros(RGB.shape[:2], np.uint8)])
    assert (decode(saved(tmp_path, "a.png", Image.fromarray(clear))) == RGB).all()


def test_jpeg_equals_pillow(tmp_path: Path) -> None:
    smooth = Image.fromarray(RGB).resize((333, 250), Image.Resampling.BICUBIC)
    path = saved(tmp_path, "a.jpg", smooth, quality=80)
    assert (decode(path) == np.asarray(Image.open(path))).all()


def test_real_jpegs_equal_pillow(wildlife_real: Path) -> None:
    for path in sorted((wildlife_real / "images").iterdir())[::100]:
        assert (decode(path) == np.asarray(Image.open(path).convert("RGB"))).all()


def test_cmyk_equals_pillow_but_for_rounding(tmp_path: Path) -> None:
    path = saved(tmp_path, "a.jpg", Image.fromarray(RGB).convert("CMYK"), quality=95)
    expected = np.asarray(Image.open(path).convert("RGB")).astype(int)
    assert np.abs(decode(path) - expected).max() <= 1


def test_sixteen_bits_keep_the_upper_eight(tmp_path: Path) -> None:
    values = np.random.default_rng(1).integers(0, 2**16, (20, 30), dtype=np.uint16)
    grey = decode(saved(tmp_path, "a.png", Image.fromarray(values)))
    assert (grey == (values >> 8)[..., None]).all()
    colour = np.random.default_rng(1).integers(0, 2**16, (20, 30, 3), dtype=np.uint16)
    cv2.imwrite(str(tmp_path / "b.png"), colour)
    assert (decode(tmp_path / "b.png") == colour[..., ::-1] >> 8).all()


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_pixels_are_taken_as_stored(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    assert (decode(saved(tmp_path, "a.png", Image.fromarray(RGB), exif=exif)) == RGB).all()
    assert decode(saved(tmp_path, "a.jpg", Image.fromarray(RGB), exif=exif)).shape == RGB.shape


@pytest.mark.parametrize("kind", ["png", "jpeg", "webp"])
@pytest.mark.parametrize("kept", [0.0, 0.2, 0.6, 0.95])
def test_a_truncated_file_is_refused(tmp_path: Path, kind: str, kept: float) -> None:
    buffer = io.BytesIO()
    Image.fromarray(RGB).save(buffer, kind)
    path = tmp_path / f"cut.{kind}"
    path.write_bytes(buffer.getvalue()[: int(kept * len(buffer.getvalue()))])
    with pytest.raises(DatasetError, check=coded("dataset/image-unreadable", text=f"cut.{kind}")):
        decode(path)


def test_what_is_no_image_is_refused(tmp_path: Path) -> None:
    (tmp_path / "page.jpg").write_text("<html>404</html>")
    with pytest.raises(DatasetError, check=coded("dataset/image-unreadable", text="page.jpg")):
        decode(tmp_path / "page.jpg")
    with pytest.raises(DatasetError, check=coded("dataset/image-missing", text="absent.jpg")):
        decode(tmp_path / "absent.jpg")


@pytest.fixture
def paths(tmp_path: Path) -> list[Path]:
    """Forty images, each filled with its own number."""
    return [
        saved(tmp_path, f"{number:02}.png", Image.fromarray(np.full((8, 9, 3), number, np.uint8)))
        for number in range(40)
    ]


def numbers(images: list[Pixels]) -> list[int]:
    return [int(image[0, 0, 0]) for image in images]


@pytest.mark.parametrize(("workers", "depth"), [(1, 0), (1, 4), (4, 1), (3, 7), (2, 100)])
def test_images_come_in_order(paths: list[Path], workers: int, depth: int) -> None:
    assert numbers(list(read_ahead(paths, workers, depth))) == list(range(40))
    assert list(read_ahead([], workers, depth)) == []


def test_no_more_is_read_ahead_than_depth(paths: list[Path]) -> None:
    taken = 0

    def counted() -> object:
        nonlocal taken
        for path in paths:
            taken += 1
            yield path

    images = read_ahead(counted(), depth=3)
    for number in range(1, 11):
        next(images)
        assert taken == number + 3
    images.close()


def test_an_error_comes_at_its_turn(paths: list[Path]) -> None:
    paths[6].write_bytes(b"broken")
    images = read_ahead(paths, workers=3, depth=8)
    assert numbers([next(images) for _ in range(6)]) == list(range(6))
    with pytest.raises(DatasetError, check=coded("dataset/image-unreadable", text="06.png")):
        next(images)
    assert decoding_threads() == []


def decoding_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("decode")]


def test_stopping_early_ends_the_threads(paths: list[Path]) -> None:
    images = read_ahead(paths, workers=2, depth=8)
    next(images)
    assert decoding_threads()
    images.close()
    assert decoding_threads() == []


def test_what_cannot_be_decoded_is_named_at_once_and_can_be_left_out(tmp_path: Path) -> None:
    whole = picture(1, (64, 48))
    files = {
        "a.jpg": whole,
        "b.jpg": whole[: len(whole) // 2],
        "c.jpg": picture(2, (64, 48)),
        "d.jpg": whole[: len(whole) // 3],
        "e.jpg": whole,
    }
    lay(tmp_path, files)
    images = [{"id": n, "file_name": name, "width": 64, "height": 48} for n, name in enumerate(files, start=1)]
    images[4]["corrupt"] = True
    coco = {"images": images, "annotations": [], "categories": [{"id": 1, "name": "deer"}]}
    (tmp_path / "labels.json").write_text(json.dumps(coco))
    data = load_dataset(tmp_path / "labels.json")
    found = check_pictures(tmp_path / "labels.json", data.coco, tmp_path, {})
    assert [(one.code, one.place) for one in found] == [
        ("image-unreadable", "images[1] (id 2)"),
        ("image-unreadable", "images[3] (id 4)"),
        ("image-corrupt", "images"),
    ]
    with pytest.raises(DatasetError, check=coded("dataset/image-unreadable")) as error:
        list(read_ahead([data.image_path(image) for image in data.images]))
    assert "b.jpg, d.jpg" in str(error.value)
    rest = load_dataset(tmp_path / "labels.json", skip_unreadable=True)
    assert [image["file_name"] for image in rest.images] == ["a.jpg", "c.jpg"]
    assert rest.warnings[-1].code == "images-skipped"
