"""Pictures, label maps and folders that are not what they should be."""

import io
import os
import shutil
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tests.bad_inputs.cases import Case, changed, chunk, edit, fifo, png, predicting, put, remap, replaced

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 12345\n"
PAGE = "<!DOCTYPE html><html><body>404 Not Found</body></html>"


def encoded(image: Image.Image, form: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


PICTURE = Image.fromarray(np.random.default_rng(0).integers(0, 255, (96, 96, 3), dtype=np.uint8))
BROKEN = {
    "empty": b"",
    "one byte": b"\x89",
    "text": "not a picture\n" * 40,
    "web page": PAGE,
    "pointer of Git LFS": POINTER,
    "PNG of 60000 x 60000": png(60000, 60000),
    "PNG of 0 x 0": png(0, 0),
    "PNG of two billion pixels": png(2**31 - 1, 1),
    "PNG with IHDR cut short": b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", b"\0" * 9),
    "PNG without data": b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 96, 96, 8, 2, 0, 0, 0)),
    "PNG of unknown depth": png(96, 96, depth=7),
    "PNG with a text that unpacks to 80 MB": png(96, 96)[:33]
    + chunk(b"zTXt", b"k\0\0" + zlib.compress(b"A" * (80 << 20)))
    + png(96, 96)[33:],
    "PPM with a broken header": b"P6\n\xff55 3\n255\n",
    "PPM of negative size": b"P6\n-5 3\n255\n",
    "GIF cut short": encoded(PICTURE, "GIF")[:100],
    "TIFF cut short": encoded(PICTURE, "TIFF")[:200],
    "TIFF whose directory lies outside": b"II*\0\xff\xff\xff\x7f",
    "BMP cut short": encoded(PICTURE, "BMP")[:300],
    "WEBP cut short": encoded(PICTURE, "WEBP")[:120],
    "JPEG cut after its header": encoded(PICTURE, "JPEG")[:400],
    "JPEG cut in the middle": encoded(PICTURE, "JPEG")[:3000],
    "JPEG of a few bytes": encoded(PICTURE, "JPEG")[:4],
    "zip archive": b"PK\x03\x04" + b"\0" * 100,
}


def picture_cases() -> Iterator[Case]:
    """A picture of three is broken."""
    for name, content in BROKEN.items():
        yield changed(f"picture: {name}", put("image/s0.png", content), end="refused", says="s0.png")
    for cut in (8, 16, 33, 60, 2000, -12, -1):
        yield changed(f"picture cut at {cut}", edit("image/s0.png", lambda raw, cut=cut: raw[:cut]))
    yield changed("picture with a wrong checksum", edit("image/s0.png", lambda raw: raw[:29] + b"\0\0\0\0" + raw[33:]))
    for where in (0, 100, 5000):
        flip = edit("image/s0.png", lambda raw, at=where: raw[:at] + bytes([raw[at] ^ 255]) + raw[at + 1 :])
        yield changed(f"picture with byte {where} flipped", flip)
    special: dict[str, Callable[[Path], object]] = {
        "a folder": lambda path: path.mkdir(),
        "a pipe": fifo,
        "a dangling link": lambda path: path.symlink_to("nowhere.png"),
        "a link to itself": lambda path: path.symlink_to(path.name),
        "a link to /dev/zero": lambda path: path.symlink_to("/dev/zero"),
        "a link to another picture": lambda path: path.symlink_to("s1.png"),
        "a picture of 1 x 1": lambda path: Image.new("RGB", (1, 1)).save(path),
        "a picture of 1 x 400": lambda path: Image.new("RGB", (1, 400)).save(path),
        "a picture of 96 x 95": lambda path: Image.new("RGB", (96, 95)).save(path),
    }
    for name, how in special.items():
        yield changed(f"picture: {name}", replaced("image/s0.png", how), end="refused")
    opaque = remap("image/s0.png", lambda rgb: Image.fromarray(rgb).convert("RGBA"))
    yield changed("picture with an opaque alpha", opaque, end="right")
    yield changed("picture as TIFF", remap("image/s0.png", Image.fromarray, end=".tif"), end="right")
    yield changed("picture as BMP", remap("image/s0.png", Image.fromarray, end=".bmp"), end="right")
    yield changed(
        "picture as lossless WEBP", remap("image/s0.png", Image.fromarray, end=".webp", lossless=True), end="right"
    )
    yield changed(
        "picture with capital ending", lambda root: (root / "image/s0.png").rename(root / "image/s0.PNG"), end="right"
    )
    exif = Image.Exif()
    exif[0x0112] = 1
    yield changed("picture with orientation 1", remap("image/s0.png", Image.fromarray, exif=exif), end="right")
    yield changed(
        "picture with broken EXIF",
        remap("image/s0.png", Image.fromarray, exif=b"Exif\0\0II*\0\xff\xff\xff\xff"),
        end="right",
    )
    yield changed(
        "picture with a broken colour profile",
        remap("image/s0.png", Image.fromarray, icc_profile=b"nonsense"),
        end="right",
    )
    turned = Image.Exif()
    turned[0x0112] = 6
    yield changed(
        "picture stored on its side",
        remap("image/s1.png", lambda rgb: Image.fromarray(np.rot90(rgb).copy()), exif=turned),
        end="right",
    )


def map_cases() -> Iterator[Case]:
    """A label map of three is broken, or is in another form."""
    for name, content in list(BROKEN.items())[::2]:
        yield changed(f"label map: {name}", put("gt/s0.png", content), end="refused", says="s0.png")
    for cut in (8, 33, 60, -12, -1):
        yield changed(f"label map cut at {cut}", edit("gt/s0.png", lambda raw, cut=cut: raw[:cut]))
    special: dict[str, Callable[[Path], object]] = {
        "a folder": lambda path: path.mkdir(),
        "a pipe": fifo,
        "a dangling link": lambda path: path.symlink_to("nowhere.png"),
        "a link to /dev/zero": lambda path: path.symlink_to("/dev/zero"),
        "of another size": lambda path: Image.new("L", (96, 90)).save(path),
        "colours": lambda path: Image.new("RGB", (96, 96), (1, 2, 3)).save(path),
        "label 4 of 4 names": lambda path: Image.new("L", (96, 96), 4).save(path),
        "label 254": lambda path: Image.new("L", (96, 96), 254).save(path),
        "label 70000": lambda path: Image.fromarray(np.full((96, 96), 70000, np.int32)).save(path.with_suffix(".tif")),
        "negative labels": lambda path: Image.fromarray(np.full((96, 96), -3, np.int32)).save(path.with_suffix(".tif")),
        "halves": lambda path: Image.fromarray(np.full((96, 96), 0.5, np.float32)).save(path.with_suffix(".tif")),
        "not a number": lambda path: Image.fromarray(np.full((96, 96), np.nan, np.float32)).save(
            path.with_suffix(".tif")
        ),
        "infinite": lambda path: Image.fromarray(np.full((96, 96), np.inf, np.float32)).save(path.with_suffix(".tif")),
    }
    for name, how in special.items():
        yield changed(f"label map: {name}", replaced("gt/s0.png", how), end="refused")
    same: dict[str, tuple[Callable[[Any], Image.Image], str]] = {
        "16 bits": (lambda index: Image.fromarray(index.astype(np.uint16)), ".png"),
        "32 bits": (lambda index: Image.fromarray(index.astype(np.int32)), ".tif"),
        "whole floating-point numbers": (lambda index: Image.fromarray(index.astype(np.float32)), ".tif"),
        "three equal channels": (lambda index: Image.fromarray(np.stack([index] * 3, -1)), ".png"),
        "a palette": (lambda index: _paletted(index), ".png"),
        "BMP": (lambda index: Image.fromarray(index), ".bmp"),
        "grey and opaque alpha": (
            lambda index: Image.fromarray(np.stack([index, np.full_like(index, 255)], -1)),
            ".png",
        ),
    }
    for name, (how, end) in same.items():
        yield changed(f"label map as {name}", remap("gt/s0.png", how, end=end), end="right")
    for bits in (2, 4):
        yield changed(f"label map of {bits} bits", remap_few_bits(bits), end="any")
    yield changed("label maps that hold nothing but 255", _fill(255), end="refused", says="255")
    yield changed("label maps of 0 and 255", _binary, end="told", says="255")
    yield changed("a label map missing", lambda root: (root / "gt/s0.png").unlink(), end="refused", says="s0.png")
    yield changed(
        "a label map more",
        lambda root: shutil.copy(root / "gt/s0.png", root / "gt/s9.png"),
        end="refused",
        says="s9.png",
    )
    twice = changed(
        "a label map as PNG and BMP",
        lambda root: Image.open(root / "gt/s0.png").save(root / "gt/s0.bmp"),
        end="refused",
        says="s0",
    )
    yield twice


def _paletted(index: Any) -> Image.Image:
    image = Image.fromarray(index).convert("P")
    image = Image.frombytes("P", (index.shape[1], index.shape[0]), index.tobytes())
    image.putpalette([7 * value % 256 for value in range(768)])
    return image


def remap_few_bits(bits: int) -> Callable[[Path], None]:
    """A grey PNG of few bits a pixel: label 255 does not fit, so it becomes the highest value, beyond the names."""

    def change(root: Path) -> None:
        with Image.open(root / "gt/s0.png") as file:
            index = np.minimum(np.array(file), 2**bits - 1)
        height, width = index.shape
        rows = b""
        for row in index:
            flags = np.unpackbits(row[:, None], axis=1)[:, -bits:].reshape(-1)
            rows += b"\0" + np.packbits(flags).tobytes()
        (root / "gt/s0.png").write_bytes(png(width, height, bits, 0, rows))

    return change


def _fill(value: int) -> Callable[[Path], None]:
    def change(root: Path) -> None:
        for path in (root / "gt").iterdir():
            with Image.open(path) as file:
                size = file.size
            Image.new("L", size, value).save(path)

    return change


def _binary(root: Path) -> None:
    for path in (root / "gt").iterdir():
        with Image.open(path) as file:
            index = np.array(file)
        Image.fromarray(np.where(index == 0, 0, 255).astype(np.uint8)).save(path)


def rename_pair(name: bytes) -> Callable[[Path], None]:
    def change(root: Path) -> None:
        for kind in ("image", "gt"):
            (root / kind / "s0.png").rename(root / kind / os.fsdecode(name + b".png"))

    return change


def folder_cases() -> Iterator[Case]:
    """Folders that are walked."""

    def loop(root: Path) -> None:
        for kind in ("image", "gt"):
            (root / kind / "again").symlink_to(".")
            (root / kind / "more").symlink_to("..")

    def up_and_down(root: Path) -> None:
        for kind in ("image", "gt"):
            (root / kind / "sub").mkdir()
            (root / kind / "sub" / "back").symlink_to(root / kind)

    yield changed("links in circles", loop)
    yield changed("a link back from a folder below", up_and_down, end="right")
    yield changed("hidden files", lambda root: shutil.copy(root / "image/s0.png", root / "image/._s0.png"), end="right")

    def thumbnails(root: Path) -> None:
        (root / "image/@eaDir").mkdir()
        shutil.copy(root / "image/s0.png", root / "image/@eaDir/s0.png")
        (root / "image/__MACOSX").mkdir()
        shutil.copy(root / "image/s0.png", root / "image/__MACOSX/s0.png")
        (root / "image/Thumbs.db").write_bytes(b"x")

    yield changed("thumbnails of a file server", thumbnails, end="right")
    yield changed("a pipe among the pictures", lambda root: os.mkfifo(root / "image/pipe.png"))
    yield changed(
        "no picture",
        lambda root: [path.unlink() for path in (root / "image").iterdir()] and None,
        end="refused",
        says="image",
    )
    yield changed(
        "no label map",
        lambda root: [path.unlink() for path in (root / "gt").iterdir()] and None,
        end="refused",
        says="gt",
    )
    yield changed("no folder of pictures", lambda root: shutil.rmtree(root / "image"), end="refused", says="image")
    yield changed("no folder of label maps", lambda root: shutil.rmtree(root / "gt"), end="refused", says="gt")
    yield changed("a file where the pictures' folder should be", put("image", "x"), end="refused", says="image")
    for name in (
        b"caf\xe9",
        b"x" * 250,
        b"two\nlines",
        b"tab\there",
        b"a b",
        "größe".encode(),
        b"-rf",
        b"$HOME",
        b"%s%n",
        b"=1+1",
        b"\xe2\x80\xae",
    ):
        yield changed(f"name {name[:12]!r}", rename_pair(name))
    same = changed(
        "pictures and maps in one folder",
        lambda root: (
            [shutil.copy(path, root / "image" / f"{path.stem}.bmp") for path in (root / "gt").iterdir()] and None
        ),
        "--data.labels",
        "{root}/image",
        end="refused",
    )
    yield same
    for name in (b"caf\xe9", b"x" * 250, b"two\nlines", b"=1+1", b"..png"):
        yield changed(
            f"photograph named {name[:12]!r}",
            lambda root, name=name: (root / "photos/a.png").rename(root / "photos" / os.fsdecode(name + b".png")),
            "--data.export",
            "coco, words, polygons",
            command=predicting,
            end="refused" if name == b"..png" else "told",  # hidden files are passed over
            says="names no picture" if name == b"..png" else "exports/",
        )
    for name, content in list(BROKEN.items())[1::3]:
        yield changed(
            f"photograph beside a good one: {name}",
            put("photos/b.png", content),
            command=predicting,
            end="refused",
            says="b.png",
        )
    for name, option, given, says in (
        ("a band that there is not", "bands", "1,2,4", "has 3 bands, and --data.bands asks for 4"),
        ("two bands", "bands", "1,2", "give three bands as red, green and blue, or one"),
        ("a stretch that is none", "stretch", "log", "--data.stretch 'log' is none"),
        (
            "an export that is none",
            "export",
            "coco, voc",
            "'voc' is no form of label maps; take one or",
        ),
        ("percentiles that fall", "stretch", "percentile 98 2", "percentiles rise within 0 to 100"),
    ):
        yield changed(
            f"photographs, {name}",
            lambda root: None,
            f"--data.{option}",
            given,
            command=predicting,
            end="refused",
            says=says,
        )
    yield changed(
        "photographs that cannot be read here",
        put("photos/IMG_1.HEIC", b"\0\0\0\x18ftypheic" + b"\0" * 200),
        command=predicting,
        end="any",
        says="HEIC",
    )
