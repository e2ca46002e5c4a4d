"""Reads zip archives in memory, within limits: Terraform's files together, or the one file in there."""

import io
import struct
import zipfile
import zlib

from santaserver.importers.model import MAX_BYTES, Unreadable

MAX_FILES = 1_000
DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    RuntimeError,
    ValueError,
    LookupError,
    EOFError,
    OSError,
    OverflowError,
)
"""What the library raises for archives that are none."""
SHEET = "xl/workbook.xml"
TERRAFORM = ".tf"
IGNORED = (".zsh", ".sh", ".md", ".txt", ".DS_Store", ".tfvars", ".lock.hcl")


def files_of(data: bytes) -> list[tuple[str, bytes]]:
    """Return the files that may hold rules, by name; raise `Unreadable` for a bad or large archive."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return _files(archive)
    except DAMAGED as error:
        message = "The archive is damaged, encrypted, or packed in an unusual way"
        raise Unreadable("syntax", message) from error


def _files(archive: zipfile.ZipFile) -> list[tuple[str, bytes]]:
    infos = archive.infolist()
    if SHEET in archive.namelist():
        raise Unreadable("syntax", "This is a spreadsheet; save it as CSV (UTF-8) and import that")
    if len(infos) > MAX_FILES:
        raise Unreadable("too_large", f"The archive has {len(infos)} files; {MAX_FILES} at most are read")
    if sum(info.file_size for info in infos) > MAX_BYTES:
        raise _too_large()
    wanted = [info for info in infos if not info.is_dir() and not _is_ignored(info.filename)]
    terraform = [info for info in wanted if info.filename.endswith(TERRAFORM)]
    found, size = [], 0
    for info in sorted(terraform or wanted, key=lambda one: one.filename):
        with archive.open(info) as file:
            content = file.read(MAX_BYTES - size + 1)
        size += len(content)
        if size > MAX_BYTES:
            raise _too_large()
        found.append((info.filename, content))
    return found


def _is_ignored(name: str) -> bool:
    return name.startswith("__MACOSX/") or name.rpartition("/")[2].startswith("._") or name.endswith(IGNORED)


def _too_large() -> Unreadable:
    size = MAX_BYTES // 1024 // 1024
    return Unreadable("too_large", f"The archive holds more than {size} MiB; import its files in parts")
