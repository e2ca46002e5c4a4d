"""An image for another processor: everything that needs no execution is made here."""

import io
import os
import shutil
import struct
import subprocess
import tarfile
from collections.abc import Mapping
from pathlib import Path

XTASK = os.environ.get("SANTA_XTASK", "")
OTHER = {"x86_64": ("arm64", 183), "aarch64": ("amd64", 62)}
"""Debian's name of the processor that this machine does not have, and the number of its programs."""
PROGRAMS = ("santa-proxy", "santa-supervise")


def run(*words: str, environ: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words, capture_output=True, text=True, check=False, env=environ)  # noqa: S603


def head_of_a_program(machine: int) -> bytes:
    """Return the head of a program without segments: 64 bits, little-endian, for this machine."""
    identity = b"\x7fELF\x02\x01\x01" + bytes(9)
    return identity + struct.pack("<HHIQQQIHHHHHH", 2, machine, 1, 0, 0, 0, 0, 64, 56, 0, 64, 0, 0)


def programs(archive: Path) -> dict[str, int]:
    """Return every program and library of an image and which machine it is for."""
    found = {}
    with tarfile.open(archive) as image:
        for blob in image:
            content = image.extractfile(blob)
            if content is None or (layer := content.read())[:2] != b"\x1f\x8b":
                continue
            with tarfile.open(fileobj=io.BytesIO(layer)) as entries:
                for entry in entries:
                    file = entries.extractfile(entry) if entry.isreg() else None
                    start = file.read(20) if file else b""
                    if start.startswith(b"\x7fELF"):
                        found[entry.name] = struct.unpack("<H", start[18:20])[0]
    return found


def test_an_image_for_another_processor_holds_nothing_of_this_one(tmp_path: Path) -> None:
    name, machine = OTHER[os.uname().machine]
    for program in PROGRAMS:
        (tmp_path / program).write_bytes(head_of_a_program(machine))
    archive = tmp_path / "other.tar"
    options = (f"--platform=linux/{name}", f"--binaries={tmp_path}", "--compression=gzip")
    done = run(XTASK, "image", *options, f"--output={archive}")
    assert done.returncode == 0, done.stderr
    found = programs(archive)
    assert {f"usr/bin/{program}" for program in PROGRAMS} < set(found)
    assert len(found) > 40
    assert set(found.values()) == {machine}
    read = run("skopeo", "inspect", "--override-arch", name, f"oci-archive:{archive}")
    assert f'"Architecture": "{name}"' in read.stdout, read.stderr
    audit = run(XTASK, "image", f"--verify={archive}")
    assert audit.returncode == 0, audit.stdout


def test_programs_of_the_wrong_processor_are_refused(tmp_path: Path) -> None:
    name, _ = OTHER[os.uname().machine]
    for program in PROGRAMS:
        (tmp_path / program).write_bytes(head_of_a_program(0))
    done = run(
        XTASK, "image", f"--platform=linux/{name}", f"--binaries={tmp_path}", f"--tree={tmp_path}/tree"
    )
    assert done.returncode == 1
    assert f"santa-proxy is not a program for linux/{name}" in done.stderr
    assert not (tmp_path / "tree").exists()


def test_what_cross_compiling_lacks_is_named_with_how_to_get_it(tmp_path: Path) -> None:
    name, _ = OTHER[os.uname().machine]
    rust = {"arm64": "aarch64", "amd64": "x86-64"}[name]
    # Where Rust is there and nothing else: no C compiler for the other processor.
    path = tmp_path / "path"
    path.mkdir()
    for program in ("cargo", "rustc"):
        there = shutil.which(program)
        assert there
        (path / program).symlink_to(there)
    environ = {**os.environ, "PATH": str(path)}
    done = run(XTASK, "image", f"--platform=linux/{name}", f"--tree={tmp_path}/tree", environ=environ)
    assert done.returncode == 1
    assert f"cannot build the programs for linux/{name}" in done.stderr
    for remedy in (f"apt-get install gcc-{rust}-linux-gnu", "--binaries DIR"):
        assert remedy in done.stderr
    assert not (tmp_path / "tree").exists()
