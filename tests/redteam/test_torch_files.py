"""Pickles and zips: none runs code, takes the machine, or ends in anything but one line."""

import os
import struct
import zipfile
from pathlib import Path

import torch_files as torch
from arena import Attack, cases, check
from torch_files import also, deflated, instead, records, text, with_arguments, with_manifest, zipped

from wildbench.submissions.admission import admit

NAMES = b"ccollections\nOrderedDict\n"
PICKLED = "submission/pickled-object"
DAMAGED = "submission/damaged"


def named(canary: str) -> bytes:
    return text(f"open({canary!r}, 'w')")


def shouted(canary: str) -> bytes:
    return text(f"touch {canary}")


def read(path: Path, _: Path) -> str:
    """What the jailed process does first, in this one."""
    return admit(path).format.name


def read_all(path: Path, _: Path) -> str | None:
    """The same, with every tensor."""
    return admit(path).listing.reason


PICKLES = [
    Attack("pickle-global", also(torch.runs), "inspect --no-probe {}", PICKLED, quick=True),
    Attack("pickle-exec", also(lambda c: b"cbuiltins\nexec\n(" + named(c) + b"tR"), read, PICKLED),
    Attack(
        "pickle-stack-global",
        also(lambda c: text("posix") + text("system") + b"\x93(" + shouted(c) + b"tR"),
        read,
        PICKLED,
    ),
    Attack(
        "pickle-stack-global-behind-a-decoy",
        also(
            lambda c: (
                b"("
                + text("posix")
                + b"q\xf0"
                + text("system")
                + b"q\xf1"
                + shouted(c)
                + b"q\xf2"
                + text("collections")
                + text("OrderedDict")
                + b"tK\x07h\xf0h\xf1\x93(h\xf2tR"
            )
        ),
        read,
        PICKLED,
    ),
    Attack("pickle-inst", also(lambda c: b"(" + shouted(c) + b"iposix\nsystem\n"), read, DAMAGED),
    Attack("pickle-obj", also(lambda c: b"(cposix\nsystem\n" + shouted(c) + b"o"), read, PICKLED),
    Attack("pickle-newobj", also(lambda c: b"cposix\nsystem\n(" + shouted(c) + b"t\x81"), read, PICKLED),
    Attack(
        "pickle-newobj-ex",
        also(lambda c: b"cposix\nsystem\n(" + shouted(c) + b"t}\x92"),
        read,
        PICKLED,
    ),
    Attack("pickle-extension", also(b"\x82\x01"), read, DAMAGED),
    Attack("pickle-persid-text", also(b"Pstorage\n"), read, DAMAGED),
    Attack(
        "pickle-encode",
        also(b"c_codecs\nencode\n(" + text("x") + text("latin1") + b"tR"),
        read,
        PICKLED,
    ),
    Attack(
        "pickle-untyped-terabyte",
        also(b"ctorch.storage\nUntypedStorage\n(" + torch.long(2**40) + b"tR"),
        read,
        PICKLED,
    ),
    Attack(
        "pickle-bytearray-6gb",
        also(b"cbuiltins\nbytearray\n(" + torch.long(6 * 2**30) + b"tR"),
        read,
        PICKLED,
    ),
    Attack(
        "pickle-storage-elsewhere",
        instead(lambda p: p.replace(text("0"), text("../../../../../../../etc/hostname"))),
        read_all,
        "submission/*",
    ),
    Attack(
        "pickle-storage-of-a-terabyte",
        also(torch.tensor(b"(" + torch.long(2**40) + b"t", b"(K\x01t")),
        read_all,
        None,
    ),
    Attack(
        "pickle-tensor-of-stride-0",
        also(torch.tensor(b"(" + torch.long(2**40) + b"t", b"(K\x00t")),
        read,
        DAMAGED,
    ),
    Attack(
        "pickle-shadowed-get",
        instead(
            b"\x80\x02"
            + NAMES
            + b")R}"
            + text("get")
            + NAMES
            + b"sb("
            + text("format")
            + text("wildbench-submission")
            + text("version")
            + b"K\x02"
            + text("manifest")
            + b"}u."
        ),
        read,
        "submission/*",
    ),
    Attack(
        "pickle-shadowed-items",
        instead(
            b"\x80\x02"
            + NAMES
            + b")R}"
            + text("items")
            + b"K\x01sb("
            + text("a")
            + torch.tensor(b"(K\x10t", b"(K\x01t")
            + b"u."
        ),
        read_all,
        "submission/*",
    ),
    Attack("pickle-million-digits", also(b"I" + b"9" * 10**6 + b"\n"), read, DAMAGED),
    Attack("pickle-million-digits-long", also(b"L" + b"9" * 10**6 + b"L\n"), read, DAMAGED),
    Attack(
        "pickle-long-8mb",
        also(b"\x8b" + struct.pack("<i", 2**23) + b"\x7f" * 2**23),
        read,
        None,
    ),
    Attack("pickle-memo-4-billion", also(b"N" + torch.remembered(2**32 - 1)), read, None),
    Attack("pickle-frame-huge", also(b"\x95" + struct.pack("<Q", 2**62) + b"N"), read, None),
    Attack("pickle-unicode8-huge", also(b"\x8d" + struct.pack("<Q", 2**62) + b"x"), read, DAMAGED),
    Attack("pickle-unicode-4gb", also(b"X" + struct.pack("<I", 2**32 - 1) + b"x"), read, DAMAGED),
    Attack("pickle-bytearray8-huge", also(b"\x96" + struct.pack("<Q", 2**62) + b"x"), read, DAMAGED),
    Attack("pickle-next-buffer", also(b"\x97"), read, DAMAGED),
    Attack("pickle-no-stop", instead(lambda p: p[:-1]), read, DAMAGED),
    Attack("pickle-empty", instead(b""), read, DAMAGED),
    Attack("pickle-pop-of-nothing", instead(lambda p: p[:2] + b"0" * 10 + p[2:]), read, DAMAGED),
    Attack("pickle-list-in-itself", also(b"]q\xf0h\xf0a"), read, None),
    Attack("pickle-surrogates", also(text(b"\xed\xa0\x80")), read, None),
    Attack("pickle-not-utf8", also(text(b"\xff\xfe")), read, DAMAGED),
    Attack("pickle-global-not-utf8", also(b"c\xff\xfe\n\xff\n"), read, DAMAGED),
    Attack(
        "pickle-code-after-stop",
        lambda folder: zipped(
            folder, {torch.PICKLE: records()[torch.PICKLE] + torch.runs(str(folder / torch.CANARY)) + b"."}
        ),
        read,
        None,
    ),
    Attack("pickle-laughs", with_arguments(torch.laughs(11)), "inspect --no-probe {}", "submission/*"),
    Attack("pickle-laughs-that-fit", with_arguments(torch.laughs(6)), "inspect --no-probe {}", "submission/*"),
    Attack("pickle-arguments-in-themselves", with_arguments(b"]q\xf0h\xf0a"), "inspect --no-probe {}", "submission/*"),
    Attack(
        "pickle-million-deep",
        with_arguments(b"]" * 10**6 + b"a" * (10**6 - 1)),
        "inspect --no-probe {}",
        "submission/*",
    ),
    Attack(
        "pickle-million-deep-tuples", with_arguments(b")" + b"\x85" * 10**6), "inspect --no-probe {}", "submission/*"
    ),
    Attack(
        "pickle-authors-3gb",
        with_manifest(
            b"}("
            + text("name")
            + text("x")
            + text("categories")
            + b"]("
            + text("zebra")
            + b"e"
            + text("detector")
            + b"}("
            + text("name")
            + text("ssd300_vgg16")
            + b"u"
            + text("authors")
            + b"]("
            + text("A" * 10**6)
            + torch.remembered(9)
            + torch.recalled(9) * 3000
            + b"eu"
        ),
        "inspect --no-probe {}",
        "submission/*",
    ),
    Attack(
        "pickle-20-million-opcodes",
        instead(b"\x80\x02" + b"N" * 2 * 10**7 + b"."),
        "inspect --no-probe {}",
        "submission/*",
    ),
    Attack(
        "pickle-hundred-million-opcodes",
        deflated(100, b"N" * 10**6),
        "inspect --no-probe {}",
        "submission/*",
    ),
    Attack(
        "pickle-300mb-of-text",
        deflated(300, b"\0" * 2**20, b"\x80\x02X" + struct.pack("<I", 300 * 2**20)),
        "inspect --no-probe {}",
        "submission/*",
    ),
]


def slipping(folder: Path) -> Path:
    outside = f"{torch.ROOT}/../../{folder.name}/{torch.CANARY}"
    return zipped(folder, more=[(outside, b"slip"), (f"{folder}/{torch.CANARY}", b"slip")])


def commented(folder: Path) -> Path:
    path = zipped(folder)
    with zipfile.ZipFile(path, "a") as archive:
        archive.comment = b"W" * 65_000
    return path


def many(folder: Path) -> Path:
    return zipped(folder, more=[(f"{torch.ROOT}/e{number}", b"") for number in range(200_000)])


def linked_entry(folder: Path) -> Path:
    path = zipped(folder)
    with zipfile.ZipFile(path, "a") as archive:
        entry = zipfile.ZipInfo(f"{torch.ROOT}/data/1")
        entry.external_attr = 0o120777 << 16
        archive.writestr(entry, "/etc/hostname")
    return path


def cased(folder: Path) -> Path:
    evil = records()[torch.PICKLE][:-2] + text("more") + torch.runs(str(folder / torch.CANARY)) + b"u."
    return zipped(folder, more=[(f"{torch.ROOT}/DATA.PKL", evil), (f"{torch.ROOT}/Data.pkl", evil)])


def stored_twice(folder: Path) -> Path:
    return zipped(folder, more=[(torch.PICKLE, records()[torch.PICKLE])])


def trailing(folder: Path) -> Path:
    (folder / "evil.pt").write_bytes(torch.HONEST.read_bytes() + b"\0" * 100_000)
    return folder / "evil.pt"


def gaps(folder: Path) -> Path:
    with zipfile.ZipFile(folder / "evil.pt", "w") as archive:
        for name, data in records().items():
            archive.writestr(zipfile.ZipInfo(name), data)
            assert archive.fp is not None
            archive.fp.write(b"G" * 1000)
            archive.start_dir = archive.fp.tell()
    return folder / "evil.pt"


def lying_sizes(folder: Path) -> Path:
    data = bytearray(torch.HONEST.read_bytes())
    at = data.rfind(b"PK\1\2")
    data[at + 20 : at + 28] = struct.pack("<II", 2**32 - 2, 2**32 - 2)
    (folder / "evil.pt").write_bytes(data)
    return folder / "evil.pt"


ZIPS = [
    Attack("zip-two-directories", torch.two_directories, read, None),
    Attack("zip-two-roots", torch.two_roots, read, "submission/*"),
    Attack("zip-other-case", cased, read, None),
    Attack("zip-overlapping", torch.overlapping, "inspect --no-probe {}", "submission/*"),
    Attack("zip-200000-records", many, read, "submission/zip-too-large"),
    Attack("zip-encrypted", torch.encrypted, read, "submission/*"),
    Attack("zip-record-twice", stored_twice, read_all, "submission/*"),
    Attack("zip-slipping-names", slipping, read, None),
    Attack("zip-link", linked_entry, read, None),
    Attack("zip-trailing", trailing, read, "submission/*"),
    Attack("zip-comment", commented, read, None),
    Attack("zip-gaps", gaps, read, None),
    Attack("zip-lying-sizes", lying_sizes, read_all, "submission/*"),
    Attack("zip-cut", lambda folder: _cut(folder), read, "submission/*"),
]


def _cut(folder: Path) -> Path:
    (folder / "evil.pt").write_bytes(torch.HONEST.read_bytes()[:300_000])
    return folder / "evil.pt"


def link(target: str, name: str = "evil.pt"):
    def make(folder: Path) -> Path:
        (folder / name).symlink_to(target)
        return folder / name

    return make


def pipe(folder: Path) -> Path:
    os.mkfifo(folder / "evil.onnx")
    return folder / "evil.onnx"


def sparse(name: str, begin: bytes):
    def make(folder: Path) -> Path:
        with (folder / name).open("wb") as file:
            file.write(begin)
            file.truncate(40 << 30)
        return folder / name

    return make


def folder_of(make):  # noqa: ANN001
    def inside(folder: Path) -> Path:
        (folder / "detector").mkdir()
        make(folder / "detector")
        return folder / "detector"

    return inside


PLACES = [
    Attack("link-to-zeros", link("/dev/zero", "evil.onnx"), "inspect --no-probe {}", "submission/*", quick=True),
    Attack("link-to-memory", link("/proc/self/mem", "evil.onnx"), "inspect --no-probe {}", "submission/*"),
    Attack("link-to-environment", link("/proc/self/environ", "evil.onnx"), "inspect --no-probe {}", "submission/*"),
    Attack("link-to-itself", link("evil.pt"), "inspect --no-probe {}", "submission/*"),
    Attack("link-to-a-secret", link("/etc/hostname", "evil.onnx"), "inspect --no-probe {}", "submission/*"),
    Attack(
        "link-to-the-labels",
        link(str(torch.HONEST.parents[1] / "annotations/parksim/test.json"), "evil.onnx"),
        "inspect --no-probe {}",
        "submission/*",
    ),
    Attack("pipe", pipe, "inspect --no-probe {}", "submission/*", quick=True),
    Attack("pipe-in-a-folder", folder_of(pipe), "inspect --no-probe {}", "submission/*"),
    Attack("link-in-a-folder", folder_of(link("/dev/zero", "evil.onnx")), "inspect --no-probe {}", "submission/*"),
    Attack("40-gb-onnx", sparse("evil.onnx", b"\x08\x08"), "inspect --no-probe {}", "submission/*"),
    Attack("40-gb-pt", sparse("evil.pt", b"PK\3\4"), "inspect --no-probe {}", "submission/*"),
    Attack("40-gb-tflite", sparse("evil.tflite", b"\x1c\0\0\0TFL3"), "inspect --no-probe {}", "submission/*"),
]


@cases([*PICKLES, *ZIPS, *PLACES])
def test_the_file_is_refused_or_harmless(attack: Attack, tmp_path: Path) -> None:
    check(attack, tmp_path)
    assert not list(tmp_path.rglob(torch.CANARY)), "code ran"
