"""Another build of the console: the same files with other names."""

import base64
import hashlib
import json
import re
from pathlib import Path

TEXTS = (".html", ".css", ".js", ".json")
COMPRESSED = (".br", ".gz", ".zst")
SCRIPT = re.compile(r"<script>(.*?)</script>", re.DOTALL)
MARK = '<meta name="build" content="other">'
"""What the page of the other build has."""


def make_other_build(www: Path) -> None:
    """Rename every hashed file in a copy of the console, change its version, and mark the page."""
    for file in [file for file in www.rglob("*") if file.suffix in COMPRESSED]:
        file.unlink()
    other = {json.loads((www / "_app/version.json").read_text())["version"]: "0therbu11d"}
    for file in sorted((www / "_app/immutable").rglob("*.*")):
        other[file.name] = f"other-{file.name}"
        file.rename(file.with_name(other[file.name]))
    # The longest first: "12.x.js" ends with "2.x.js".
    names = re.compile("|".join(re.escape(name) for name in sorted(other, key=len, reverse=True)))
    page = www / "index.html"
    scripts = SCRIPT.findall(page.read_text())
    for file in [file for file in www.rglob("*") if file.suffix in TEXTS]:
        file.write_text(names.sub(lambda found: other[found.group()], file.read_text()))
    html = page.read_text()
    for old, new in zip(scripts, SCRIPT.findall(html), strict=True):
        html = html.replace(_source(old), _source(new))
    page.write_text(html.replace("</head>", f"{MARK}</head>"))


def _source(script: str) -> str:
    """Return how the Content-Security-Policy names an inline script."""
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
