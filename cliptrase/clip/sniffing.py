"""What a file is, by its first bytes, where it is no weights file: pointers, pages, archives, half a download."""

import json
import re
import zipfile
from pathlib import Path

_HEAD = 1024

# First bytes of what is given for weights by mistake, and what to do about it.
_MAGIC = (
    (b"\x1f\x8b", "gzip-compressed: unpack it first"),
    (b"BZh", "bzip2-compressed: unpack it first"),
    (b"\xfd7zXZ\x00", "xz-compressed: unpack it first"),
    (b"\x28\xb5\x2f\xfd", "zstd-compressed: unpack it first"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive: unpack it first"),
    (b"Rar!", "a RAR archive: unpack it first"),
    (b"\x89HDF", "an HDF5 file, as Keras writes: PyTorch's weights are needed"),
    (b"GGUF", "a GGUF file: PyTorch's weights are needed"),
    (b"\x93NUMPY", "a NumPy array: PyTorch's weights are needed"),
    (b"\x89PNG", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"%PDF", "a PDF document"),
)


def what_it_is(path: Path) -> str:
    """Says of a file that is certainly no whole weights file what it is, and the cure; empty for all others.

    Raises:
        OSError: the file cannot be read.
    """
    size = path.stat().st_size
    if not size:
        return "it is empty; download or copy it again"
    with path.open("rb") as file:
        head = file.read(_HEAD)
    if head.startswith(b"version https://git-lfs"):
        return "it is a Git LFS pointer, which only names the weights; get them by `git lfs pull` in its repository"
    if not head.strip(b"\0"):  # tarfile and torch take it for an archive, and the former reads all of it
        return "it begins with zeros, as a download that has made room and not come far; download it again"
    if said := next((what for magic, what in _MAGIC if head.startswith(magic)), ""):
        return f"it is {said}"
    if is_safetensors(path):
        return _cut_safetensors(path, size)
    if head.startswith(b"PK\x03\x04"):
        return _zip(path, size)
    if head[257:262] == b"ustar":
        return "it is a tar archive; unpack it first"
    return _text(head)


def is_safetensors(path: Path) -> bool:
    """Whether a file begins as safetensors do: eight bytes of length, then a JSON object of that length."""
    with path.open("rb") as file:
        head = file.read(9)
    return len(head) == 9 and head[8:] == b"{" and 2 <= int.from_bytes(head[:8], "little") <= 100_000_000


def _cut_safetensors(path: Path, size: int) -> str:
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = file.read(length)
    if len(header) == length:
        try:
            entries = json.loads(header)
            wanted = 8 + length + max(entry["data_offsets"][1] for entry in entries.values() if "dtype" in entry)
        except (ValueError, TypeError, KeyError, IndexError, AttributeError):
            return ""  # its reader says what is wrong with the header
        if size >= wanted:
            return ""
        return f"it is cut short: {size} of {wanted} bytes; download or copy it again"
    return f"it is cut short: {size} bytes; download or copy it again"


def _zip(path: Path, size: int) -> str:
    if not zipfile.is_zipfile(path):
        return (
            f"it is a zip archive, as PyTorch writes them, that is cut short: {size} bytes; download or copy it again"
        )
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
    if any(name.rpartition("/")[2] == "data.pkl" for name in names):
        return ""
    if names and all(name.endswith(".npy") for name in names):
        return "it is a NumPy archive; PyTorch's weights are needed"
    return f"it is a zip archive of other files ({', '.join(names[:2]) or 'none'}); unpack it first"


def _text(head: bytes) -> str:
    try:
        text = head.decode()
    except UnicodeDecodeError as error:
        if error.start < len(head) - 3:
            return ""
        text = head[: error.start].decode()  # a letter that the first bytes end in the middle of
    if any(ord(letter) < 32 and letter not in "\t\r\n\f" for letter in text):
        return ""
    start = " ".join(text.split())
    if re.match(r"(?i)<(!doctype|html|head|body|\?xml|!--)", start):
        title = re.search(r"(?is)<title[^>]*>(.*?)</title>", text)
        named = f" ({' '.join(title[1].split())[:60]})" if title else ""
        return f"it is a web page{named}, as a failed download leaves; download it again"
    kind = "JSON" if start[:1] in ("{", "[") else "text"
    shown = start if len(start) <= 60 else f"{start[:60].rsplit(' ', 1)[0]} ..."
    return f"it is {kind} that begins with {shown!r}; download it again"
