"""The commands of a page of the documentation, run as a reader would run them."""

import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

GUIDE = Path(__file__).parents[3] / "docs/guide"
BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
DEADLINE = 60
"""Seconds for all commands of a page."""


def shell_blocks(page: str) -> list[str]:
    """Return the blocks marked `sh` of a page, such as `tutorial`; others (`console`) are for reading."""
    return BLOCK.findall(GUIDE.joinpath(f"{page}.md").read_text(encoding="utf-8"))


def run(
    blocks: list[str],
    replacements: Mapping[str, str],
    environment: Mapping[str, str],
    folder: Path | None = None,
) -> list[str]:
    """Run the blocks in one bash that stops at the first failure, in `folder`; return the output of each.

    Each replacement (what the page says, what it is in the test) has to occur.
    """
    script = "\n".join(f"{block}printf '\\0'" for block in blocks)
    for said, meant in replacements.items():
        assert said in script, f"the page does not say {said!r} any more"
        script = script.replace(said, meant)
    bash = shutil.which("bash")
    assert bash is not None
    done = subprocess.run(  # noqa: S603 - commands of our own documentation
        [bash, "-euo", "pipefail", "-c", script],
        env=dict(environment),
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
    return done.stdout.split("\0")[:-1]
