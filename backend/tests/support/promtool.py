"""Runs promtool."""

import os
import shutil
import subprocess
from pathlib import Path


def promtool(*arguments: str | Path, text: str = "") -> subprocess.CompletedProcess[str]:
    """Run it and return what it said; say how to get it if it is missing."""
    program = os.environ.get("SANTA_PROMTOOL") or shutil.which("promtool")
    if program is None:
        raise RuntimeError("promtool is missing: apt-get install prometheus, or set SANTA_PROMTOOL to it")
    command = [program, *map(str, arguments)]
    return subprocess.run(command, input=text, capture_output=True, text=True, timeout=60, check=False)  # noqa: S603 - ours
