"""The page that shows the OpenAPI document; it loads nothing from other hosts."""

from pathlib import Path

from starlette.responses import FileResponse
from starlette.routing import BaseRoute, Route

FOLDER = Path(__file__).parent / "docs_page"
FILES = {"": "index.html", "/page.js": "page.js", "/page.css": "page.css"}
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-cache",
}


def routes(api: str) -> list[BaseRoute]:
    """Return the routes of the page and its two files."""
    return [_route(f"{api}/docs{path}", FOLDER / name) for path, name in FILES.items()]


def _route(path: str, file: Path) -> BaseRoute:
    async def serve(_: object) -> FileResponse:
        return FileResponse(file, headers=HEADERS)

    return Route(path, serve)
