"""Zips that no package may be made of, as bytes, written by hand where zipfile would refuse to."""

import io
import stat
import struct
import warnings
import zipfile
import zlib


def entry(name, content=b"", mode=0o100644, system=3, method=zipfile.ZIP_STORED):
    info = zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0))
    info.create_system = system
    info.external_attr = mode << 16
    info.compress_type = method
    return info, content


def pack(*entries):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of names that stand twice
        for info, content in entries:
            archive.writestr(info, content)
    return out.getvalue()


def good(name="app.py", content=b"def handler(event, context):\n    return event\n"):
    return pack(entry(name, content))


def link(name, target):
    return entry(name, target.encode(), stat.S_IFLNK | 0o777)


def local_header(name, crc, packed, size, method, flags=0):
    return struct.pack("<4s5H3I2H", b"PK\3\4", 20, flags, method, 0, 33, crc, packed, size, len(name), 0) + name


def central_header(name, crc, packed, size, method, offset, flags=0, attributes=0o100644 << 16):
    return struct.pack("<4s6H3I5H2I", b"PK\1\2", 3 << 8 | 20, 20, flags, method, 0, 33, crc, packed, size, len(name), 0,
                       0, 0, 0, attributes, offset) + name


def assemble(body, directory, count):
    end = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, min(count, 0xFFFF), min(count, 0xFFFF), len(directory), len(body), 0)
    if count > 0xFFFF:
        big = struct.pack("<4sQ2H2I4Q", b"PK\6\6", 44, 45, 45, 0, 0, count, count, len(directory), len(body))
        end = big + struct.pack("<4sIQI", b"PK\6\7", 0, len(body) + len(directory), 1) + end
    return body + directory + end


def by_hand(name, content, claimed_size=None, flags=0, method=8):
    """One entry, whose size in the directory may be a lie."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = packer.compress(content) + packer.flush() if method == 8 else content
    size = len(content) if claimed_size is None else claimed_size
    args = (name.encode(), zlib.crc32(content), len(packed), size, method)
    return assemble(local_header(*args, flags=flags) + packed, central_header(*args, 0, flags=flags), 1)


def overlapping(count, size):
    """Many entries that share one compressed block: each honest, together a bomb."""
    content = bytes(size)
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = packer.compress(content) + packer.flush()
    name = b"0"
    body = local_header(name, zlib.crc32(content), len(packed), size, 8) + packed
    directory = b"".join(central_header(b"%d" % i, zlib.crc32(content), len(packed), size, 8, 0) for i in range(count))
    return assemble(body, directory, count)


def many_entries(count):
    pieces, directory, offset = [], [], 0
    for i in range(count):
        name = b"%x" % i
        pieces.append(local_header(name, 0, 0, 0, 0))
        directory.append(central_header(name, 0, 0, 0, 0, offset))
        offset += 30 + len(name)
    return assemble(b"".join(pieces), b"".join(directory), count)


def bad_crc():
    data = bytearray(good(content=b"A" * 100))
    data[data.index(b"A" * 100)] = 66
    return bytes(data)


def damaged_deflate():
    data = bytearray(by_hand("a", bytes(range(256)) * 20))
    data[31:40] = b"\xff" * 9
    return bytes(data)


def zip64_garbage():
    data = bytearray(good())
    at = data.rindex(b"PK\5\6")
    locator = struct.pack("<4sIQI", b"PK\6\7", 0, 0xFFFFFFFFFFFFFFF0, 1)
    return bytes(data[:at]) + locator + struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)


NOT_A_ZIP = {
    "text": lambda: b"this is no zip",
    "truncated-by-one": lambda: good()[:-1],
    "truncated-in-half": lambda: good()[:60],
    "only-the-end-record": lambda: b"PK\5\6" + b"\xff" * 18,
    "zip64-garbage": zip64_garbage,
    "bad-crc": bad_crc,
    "damaged-deflate": lambda: damaged_deflate(),
    "shorter-than-it-says": lambda: by_hand("a", b"x" * 10, claimed_size=20),
    "longer-than-it-says": lambda: by_hand("a", bytes(1000000), claimed_size=10),
    "encrypted": lambda: by_hand("a", b"x" * 64, flags=1),
    "unknown-method": lambda: by_hand("a", b"x" * 64, method=77),
    "absolute": lambda: pack(entry("/etc/evil", b"x")),
    "parent": lambda: pack(entry("../evil", b"x")),
    "parent-inside": lambda: pack(entry("a/../../evil", b"x")),
    "parent-at-the-end": lambda: pack(entry("a/..", b"x")),
    "parent-backslash": lambda: pack(entry("..\\evil", b"x")),
    "parent-backslash-inside": lambda: pack(entry("a\\..\\..\\evil", b"x")),
    "parent-directory": lambda: pack(entry("../", b"", stat.S_IFDIR | 0o755)),
    "no-name": lambda: by_hand("", b"x"),
    "dot": lambda: pack(entry(".", b"x")),
    "long-part": lambda: pack(entry("n" * 256, b"x")),
    "long-path": lambda: pack(entry("/".join(["n" * 200] * 30), b"x")),
    "deep-path": lambda: pack(entry("/".join("d" * 200), b"x")),
    "twice": lambda: pack(entry("a", b"1"), entry("a", b"2")),
    "twice-by-another-name": lambda: pack(entry("a/b", b"1"), entry("a//./b", b"2")),
    "file-then-directory": lambda: pack(entry("a", b"1"), entry("a/b", b"2")),
    "directory-then-file": lambda: pack(entry("a/b", b"2"), entry("a", b"1")),
    "link-absolute": lambda: pack(link("a", "/etc/passwd")),
    "link-out": lambda: pack(link("a", "../../../secret")),
    "link-out-by-links": lambda: pack(link("d/e/up", "../.."), link("d/e/out", "up/../x")),
    "link-without-target": lambda: pack(link("a", "")),
    "link-with-a-long-target": lambda: pack(link("a", "x" * 5000)),
    "write-through-link": lambda: pack(link("a", "/tmp"), entry("a/evil", b"x")),
    "write-through-good-link": lambda: pack(entry("d/x", b""), link("a", "d"), entry("a/evil", b"x")),
    "link-twice": lambda: pack(link("a", "b"), link("a", "c")),
    "device": lambda: pack(entry("sda", b"", stat.S_IFBLK | 0o666)),
    "character-device": lambda: pack(entry("null", b"", stat.S_IFCHR | 0o666)),
    "fifo": lambda: pack(entry("pipe", b"", stat.S_IFIFO | 0o666)),
    "socket": lambda: pack(entry("sock", b"", stat.S_IFSOCK | 0o666)),
    "too-many-entries": lambda: many_entries(131073),
}

TOO_LARGE = {
    "bomb": lambda: by_hand("zeros", bytes(262144001)),
    "bomb-of-overlapping-entries": lambda: overlapping(3000, 1000000),
    "bomb-that-lies": lambda: by_hand("zeros", bytes(262144001), claimed_size=10),
    "claims-exabytes": lambda: by_hand("a", b"x", claimed_size=0xFFFFFFF0),
}

