"""Labels, detections, pictures and archives that lie: bounded before they expand, and refused in one line."""

from __future__ import annotations

import io
import json
import os
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from arena import Attack, cases, check, forked
from made_up_parks import box, lay, parks, picture, xml
from PIL import Image

from wildbench.datasets.images import decode

VALIDATE = "data validate {}"
SCORE = "score {} --dataset {park} --out {folder}/score.json"
IMPORT = "data import {} --out {folder}/imported"
ANY = "dataset/*"


def file(data: bytes | Callable[[], bytes], name: str = "evil.json") -> Callable[[Path], Path]:
    """A file of these bytes; large ones are made when they are wanted."""

    def make(folder: Path) -> Path:
        (folder / name).write_bytes(data if isinstance(data, bytes) else data())
        return folder / name

    return make


def large(begin: bytes, piece: bytes, times: int, end: bytes) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        with (folder / "evil.json").open("wb") as out:
            out.write(begin)
            for _ in range(times // 1024):
                out.write(piece * 1024)
            out.write(end)
        return folder / "evil.json"

    return make


def pipe(folder: Path) -> Path:
    os.mkfifo(folder / "evil.json")
    return folder / "evil.json"


def link(target: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        (folder / "evil.json").symlink_to(target)
        return folder / "evil.json"

    return make


def sparse(folder: Path) -> Path:
    with (folder / "evil.json").open("wb") as out:
        out.truncate(1 << 40)
    return folder / "evil.json"


COCO: dict[str, Any] = {
    "images": [{"id": 1, "file_name": "1.png", "width": 64, "height": 64}],
    "categories": [{"id": 1, "name": "lion"}],
    "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 1, 9, 9], "area": 81, "iscrowd": 0}],
}


def labels(**changes: Any) -> Callable[[Path], Path]:
    """One box in one picture; changes of the picture or of the box."""

    def make(folder: Path) -> Path:
        document = json.loads(json.dumps(COCO))
        for key, value in changes.items():
            entry = document["images"][0] if key in ("width", "height", "file_name") else document["annotations"][0]
            entry[key] = value
        (folder / "evil.json").write_text(json.dumps(document))
        return folder / "evil.json"

    return make


LABELS = [
    Attack("labels-nested", file(b"[" * 10**7), VALIDATE, ANY, quick=True),
    Attack("labels-nested-objects", file(b'{"a":' * 10**6), VALIDATE, ANY),
    Attack("labels-of-30-million-objects", large(b'{"images": [', b"{},", 30 * 2**20, b"{}]}"), VALIDATE, ANY),
    Attack("labels-of-100-million-lists", large(b'{"images": [', b"[],", 90 * 2**20, b"[]]}"), VALIDATE, ANY),
    Attack("labels-of-a-terabyte", sparse, VALIDATE, ANY, quick=True),
    Attack("labels-a-pipe", pipe, VALIDATE, ANY, quick=True),
    Attack("labels-without-end", link("/dev/zero"), VALIDATE, ANY),
    Attack("labels-of-memory", link("/proc/self/mem"), VALIDATE, ANY),
    Attack("labels-a-folder", lambda folder: folder, VALIDATE, ANY),
    Attack("labels-with-a-million-digits", file(b'{"images": ' + b"9" * 10**6 + b"}"), VALIDATE, ANY),
    Attack("labels-with-an-exponent", file(json.dumps(COCO).encode().replace(b"81", b"1e999999999")), VALIDATE, ANY),
    Attack("picture-of-10-to-18-pixels", labels(width=10**9, height=10**9), VALIDATE, ANY),
    Attack("picture-elsewhere", labels(file_name="../../../../../../etc/hostname"), VALIDATE + " --images {folder}", ANY),
    Attack("picture-without-end", labels(file_name="/dev/zero"), VALIDATE + " --images {folder}", ANY),
    Attack("picture-a-pipe", lambda folder: (os.mkfifo(folder / "1.png"), labels()(folder))[1], VALIDATE + " --images {folder}", ANY),
    Attack("picture-nul", labels(file_name="a\0b"), VALIDATE + " --images {folder}", ANY),
    Attack("polygon-around-the-world", labels(segmentation=[[0, 0, 9e8, 0, 9e8, 9e8]]), VALIDATE, ANY),
    Attack("polygon-of-a-million-turns", labels(segmentation=[[0, 0, 64, 64] * 10**6]), VALIDATE, ANY),
    Attack("mask-of-another-size", labels(segmentation={"size": [10**6, 10**6], "counts": [10**12]}), VALIDATE, ANY),
    Attack("mask-that-is-too-long", labels(segmentation={"size": [64, 64], "counts": "o" * 10**6}), VALIDATE, ANY),
    Attack("mask-of-bytes", labels(segmentation={"size": [64, 64], "counts": "\u00ff\u0000{"}), VALIDATE, ANY),
]  # fmt: skip


def found(count: int = 1, **changes: Any) -> Callable[[Path], Path]:
    """Detections in the first picture of the park."""
    one = {"image_id": 1, "category_id": 1, "bbox": [1, 1, 9, 9], "score": 0.5, **changes}
    return file(json.dumps([one] * count).encode())


DETECTIONS = [
    Attack("detections-nested", file(b"[" * 10**7), SCORE, "predictions/*", quick=True),
    Attack("detections-of-20-million-objects", large(b"[", b"{},", 20 * 2**20, b"{}]"), SCORE, "predictions/*", quick=True),
    Attack("detections-of-lists", large(b"[", b"[],", 20 * 2**20, b"[]]"), SCORE, "predictions/*"),
    Attack("detections-of-a-terabyte", sparse, SCORE, "predictions/*"),
    Attack("detections-a-pipe", pipe, SCORE, "*"),
    Attack("detections-without-end", link("/dev/zero"), SCORE, "*"),
    Attack("detections-50000-in-one-picture", found(50_000), SCORE, "predictions/*"),
    Attack("detections-6000-in-one-picture", found(6000), SCORE, None),
    Attack("detection-of-no-picture", found(image_id=2**70), SCORE, "predictions/*"),
    Attack("detection-of-a-true-picture", found(image_id=True), SCORE, "predictions/*"),
    Attack("detection-score-10-to-400", file(json.dumps([{"image_id": 1, "category_id": 1, "bbox": [1, 1, 9, 9], "score": 10**400}]).encode()), SCORE, "predictions/*"),
    Attack("detection-box-1e308", found(bbox=[1e308, 1e308, 1e308, 1e308]), SCORE, "predictions/*"),
    Attack("detection-mask-around-the-world", found(segmentation=[[0, 0, 9e8, 0, 9e8, 9e8]]), SCORE, "predictions/*"),
    Attack("detection-mask-of-objects", found(segmentation=[{}]), SCORE, "predictions/*"),
    Attack("detection-with-a-nested-key", file(b'[{"image_id": 1, "category_id": 1, "bbox": [1, 1, 9, 9], "score": 0.5, "more": ' + b"[" * 900 + b"]" * 900 + b"}]"), SCORE, "*"),
]  # fmt: skip


@cases([*LABELS, *DETECTIONS])
def test_a_document_is_bounded(attack: Attack, tmp_path: Path, park: Path) -> None:
    if isinstance(attack.end, str) and attack.end == "*":
        end = forked(lambda: check(attack, tmp_path, park).kind)
        assert end.kind in ("ended", "traceback")
        if end.kind == "traceback":  # it was not refused: then it was scored
            check(Attack(attack.name, lambda _: tmp_path / "evil.json", SCORE, None), tmp_path, park)
    else:
        check(attack, tmp_path, park)


def png(width: int, height: int, rows: int = 1) -> bytes:
    """A picture of this size with the data of few of its rows."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    packer = zlib.compressobj(9)
    row = b"\0" * min(1 + 3 * width, 2**24)
    data = b"".join(packer.compress(row) for _ in range(rows)) + packer.flush()
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def saved(form: str, *size: int) -> bytes:
    stream = io.BytesIO()
    Image.new("1" if form in ("PNG", "TIFF") else "L", size).save(stream, form)
    return stream.getvalue()


def bitmap(width: int, height: int) -> bytes:
    return (
        b"BM"
        + struct.pack("<IHHI", 54, 0, 0, 54)
        + struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)
    )


def gif(width: int, height: int) -> bytes:
    data = saved("GIF", 8, 8)
    return data[:6] + struct.pack("<HH", width, height) + data[10:]


PICTURES = {
    "png-of-900-million": lambda: png(30_000, 30_000),
    "png-of-2-to-62": lambda: png(2**31 - 1, 2**31 - 1),
    "png-whole-of-220-million": lambda: png(20_000, 11_000, 11_000),
    "png-cut": lambda: png(640, 480)[:100],
    "jpeg-of-4-billion": lambda: saved("JPEG", 64, 64).replace(struct.pack(">HH", 64, 64), b"\xff\xff\xff\xff", 1),
    "bmp-of-2-to-60": lambda: bitmap(2**30, 2**30),
    "bmp-negative": lambda: bitmap(-5, -5),
    "gif-of-4-billion": lambda: gif(65_535, 65_535),
    "tiff-of-400-million": lambda: saved("TIFF", 20_000, 20_000),
    "postscript": lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 64 48\n%%EndComments\nshowpage\n",
    "svg": lambda: b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"></svg>',
    "exr": lambda: b"\x76\x2f\x31\x01" + bytes(300),
    "pnm": lambda: b"P6 60000 60000 255\n",
    "hdr": lambda: b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 60000 +X 60000\n",
    "empty": lambda: b"",
    "noise": lambda: np.random.default_rng(0).bytes(10**5),
}


@cases(
    [
        Attack(f"picture-{name}", file(data, "evil.png"), lambda path, _: list(decode(path).shape), "dataset/image-*")
        for name, data in PICTURES.items()
        if name != "png-whole-of-220-million"
    ]
)
def test_a_picture_is_bounded(attack: Attack, tmp_path: Path) -> None:
    check(attack, tmp_path)


PLACES = {"pipe": pipe, "zeros": link("/dev/zero"), "folder": lambda folder: folder, "memory": link("/proc/self/mem")}


@cases(
    [
        Attack(f"picture-is-a-{name}", make, lambda path, _: list(decode(path).shape), "dataset/image-*")
        for name, make in PLACES.items()
    ]
)
def test_a_picture_is_a_file(attack: Attack, tmp_path: Path) -> None:
    check(attack, tmp_path)


def test_a_large_picture_is_decoded(tmp_path: Path) -> None:
    Image.new("L", (6000, 4000)).save(tmp_path / "large.png")
    assert decode(tmp_path / "large.png").shape == (4000, 6000, 3)


def voc(**files: bytes) -> Callable[[Path], Path]:
    """Two photographs in VOC's form, and files that replace theirs or come on top; `_` stands for a dot."""

    def make(folder: Path) -> Path:
        changed = {name.replace("_", "."): data for name, data in files.items()}
        return lay(
            folder / "source",
            {"a.jpg": picture(), "a.xml": xml(box()), "b.jpg": picture(1), "b.xml": xml(box())} | changed,
        )

    return make


ENTITY = (
    b'<!DOCTYPE a [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;">]>'
)
SECRET = b'<!DOCTYPE a [<!ENTITY a SYSTEM "file:///etc/hostname">]><annotation><object><name>&a;</name></object></annotation>'


def yolo(settings: bytes, **files: bytes | Callable[[], bytes]) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        (folder / "source" / "labels").mkdir(parents=True)
        (folder / "source" / "images").mkdir()
        (folder / "source" / "data.yaml").write_bytes(settings)
        (folder / "source" / "images" / "a.jpg").write_bytes(picture())
        text = files.get("a", b"0 0.5 0.5 0.2 0.2\n")
        (folder / "source" / "labels" / "a.txt").write_bytes(text if isinstance(text, bytes) else text())
        return folder / "source"

    return make


MERGED = b"a: &a {x0: 1}\n" + b"".join(
    b"%c: &%c {<<: [%s]}\n" % (name, name, b",".join([b"*%c" % (name - 1)] * 10)) for name in range(ord("b"), ord("k"))
)
ALIASED = b"names: &a [lion]\n" + b"".join(
    b"%c: &%c [%s]\n" % (name, name, b",".join([b"*%c" % (name - 1)] * 10)) for name in range(ord("b"), ord("m"))
)


def archive(name: str, *members: tuple[str, bytes, dict[str, Any]]) -> Callable[[Path], Path]:
    """A tar of honest files and some members more."""

    def make(folder: Path) -> Path:
        source = lay(folder / "source", parks())
        with tarfile.open(folder / name, "w") as packed:
            packed.add(source, ".")
            for member, data, changes in members:
                entry = tarfile.TarInfo(member.format(folder=folder))
                entry.size = len(data)
                for key, value in changes.items():
                    setattr(entry, key, value.format(folder=folder) if isinstance(value, str) else value)
                packed.addfile(entry, io.BytesIO(data))
        return folder / name

    return make


def zipped(*members: tuple[str, bytes, int]) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        with zipfile.ZipFile(folder / "evil.zip", "w", zipfile.ZIP_DEFLATED) as packed:
            for name, data in parks().items():
                packed.writestr(name, data)
            for name, data, mode in members:
                entry = zipfile.ZipInfo(name.format(folder=folder))
                entry.external_attr = mode << 16
                entry.compress_type = zipfile.ZIP_DEFLATED
                packed.writestr(entry, data)
        return folder / "evil.zip"

    return make


def squeezed(folder: Path) -> Path:
    import lzma

    packer = lzma.LZMACompressor()
    data = b"".join(packer.compress(bytes(2**20)) for _ in range(120)) + packer.flush()
    (folder / "evil.tar.xz").write_bytes(data)
    return folder / "evil.tar.xz"


IMPORTS = [
    Attack("xml-entities", voc(a_xml=ENTITY + b"<annotation>&c;</annotation>"), IMPORT, ANY, quick=True),
    Attack("xml-secret", voc(a_xml=SECRET), IMPORT, ANY),
    Attack("xml-entities-utf16", voc(a_xml=("\ufeff" + (ENTITY + b"<annotation>&c;</annotation>").decode()).encode("utf-16-le")), IMPORT, ANY),
    Attack("xml-5-mb", voc(a_xml=b"<annotation>" + b" " * 5 * 2**20 + b"</annotation>"), IMPORT, ANY),
    Attack("xml-nested", voc(a_xml=b"<annotation>" + b"<a>" * 10**5), IMPORT, None),
    Attack("xml-digits", voc(a_xml=xml(box()).replace(b"<xmin>", b"<xmin>" + b"9" * 10**6)), IMPORT, None),
    Attack("picture-bomb", voc(a_jpg=png(30_000, 30_000)), IMPORT, ANY),
    Attack("yaml-merges", yolo(b"names: [lion]\n" + MERGED), IMPORT, None, quick=True),
    Attack("yaml-aliases", yolo(ALIASED), IMPORT, None),
    Attack("yaml-itself", yolo(b"names: &a [*a]\n"), IMPORT, None),
    Attack("yaml-object", yolo(b"names: !!python/object/apply:os.system ['touch canary']\n"), IMPORT, None),
    Attack("yaml-nested", yolo(b"[" * 100_000), IMPORT, None),
    Attack("yaml-base-60", yolo(b"names: [lion]\nn: 1" + b":59" * 80_000), IMPORT, None),
    Attack("yaml-5-mb", yolo(b"names: [lion]\n#" + b"x" * 5 * 2**20), IMPORT, None),
    Attack("text-100-mb", yolo(b"names: [lion]\n", a=lambda: b"0 0.5 0.5 0.2 0.2\n" * (6 * 2**20)), IMPORT, ANY),
    Attack("text-of-digits", yolo(b"names: [lion]\n", a=b"0 0." + b"5" * 10**6 + b" 0.5 0.2 0.2\n"), IMPORT, None),
    Attack("text-of-an-exponent", yolo(b"names: [lion]\n", a=b"0 1e999999999 0.5 0.2 0.2\n"), IMPORT, None),
    Attack("tar-above", archive("evil.tar", ("../../canary", b"x", {})), IMPORT, ANY),
    Attack("tar-absolute", archive("evil.tar", ("{folder}/canary", b"x", {})), IMPORT, ANY),
    Attack("tar-link", archive("evil.tar", ("link", b"", {"type": tarfile.SYMTYPE, "linkname": "{folder}"}), ("link/canary", b"x", {})), IMPORT, ANY),
    Attack("tar-hard-link", archive("evil.tar", ("link", b"", {"type": tarfile.LNKTYPE, "linkname": "../../secret"})), IMPORT, ANY),
    Attack("tar-device", archive("evil.tar", ("zero", b"", {"type": tarfile.CHRTYPE, "devmajor": 1, "devminor": 5})), IMPORT, ANY),
    Attack("tar-pipe", archive("evil.tar", ("pipe", b"", {"type": tarfile.FIFOTYPE})), IMPORT, ANY),
    Attack("zip-above", zipped(("../../canary", b"x", 0)), IMPORT, ANY, quick=True),
    Attack("zip-backslash", zipped(("..\\..\\canary", b"x", 0)), IMPORT, ANY),
    Attack("zip-link", zipped(("link", b"/etc/hostname", 0o120777)), IMPORT, ANY),
    Attack("zip-300-mb", zipped(("large.txt", bytes(300 * 2**20), 0)), IMPORT, ANY),
    Attack("zip-60000-files", zipped(*((f"f{number}", b"", 0) for number in range(60_000))), IMPORT, ANY),
    Attack("xz-120-mb", squeezed, IMPORT, ANY),
]  # fmt: skip


@cases(IMPORTS)
def test_an_import_is_bounded(attack: Attack, tmp_path: Path) -> None:
    check(attack, tmp_path)
    assert not list(tmp_path.rglob("canary"))


TINY = Path(__file__).parents[2] / "baselines" / "reference-tiny.pt"
SETTINGS = {
    "toml-nested": b"a = " + b"[" * 10**5,
    "toml-large": b"# " + b"x" * 2**20,
    "toml-dots": b".".join([b"a"] * 16_000) + b" = 1",
    "toml-not-utf8": b"\xff\xfe",
    "toml-digits": b"a = " + b"9" * 10**5,
}


@pytest.mark.slow
@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize(
    "verb", ["train {} --out {folder}/made.pt", f"baseline run {{}} --from {TINY} --out {{folder}}/made.pt"]
)
def test_a_recipe_is_bounded(name: str, verb: str, tmp_path: Path) -> None:
    check(Attack(name, file(SETTINGS[name], "evil.toml"), verb, "recipe/*"), tmp_path)
