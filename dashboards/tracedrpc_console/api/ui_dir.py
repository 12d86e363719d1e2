"""Serves somebody's build of the Jaeger UI, told what this console can do.

Jaeger's own server changes three lines of the UI's index.html, and answers every address of the UI with
it, because the addresses are made in the browser. So does this.
"""

from __future__ import annotations

import json
import re
from html import escape
from typing import TYPE_CHECKING, Any, Final

from starlette.responses import FileResponse, HTMLResponse, PlainTextResponse
from starlette.routing import Route

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from starlette.requests import Request
    from starlette.responses import Response

CAPABILITIES: Final = {"archiveStorage": False, "metricsStorage": True, "aiAssistant": False}
"""What the UI shall offer: the Monitor tab, but no archive and no assistant."""
CONFIG: Final = {
    "dependencies": {"menuEnabled": True}, "monitor": {"menuEnabled": True}, "archiveEnabled": False,
}
CSP: Final = (
    "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
    "connect-src 'self'; img-src 'self' data:; font-src 'self' data:; worker-src 'self' blob:; "
    "manifest-src 'self'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
)
"""Looser than the console's own: the UI's index.html has scripts and styles in it."""
_NOT_PAGES: Final = ("api/", "v1/")
_BASE: Final = re.compile(r'(<base\s+href=")/?(")')


class NoUi(Exception):
    """A folder has no build of the Jaeger UI; the text says what is missing.

    Attributes:
        folder: which.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(f"{folder}: there is no index.html of a Jaeger UI; give the folder of its build")
        self.folder = folder


def routes(folder: Path, base_path: str = "", config: Mapping[str, Any] | None = None) -> list[Route]:
    """Return the routes of a UI; they take every address, so they must be the last ones.

    Args:
        folder: with the index.html of a build.
        base_path: where it is mounted, as in "/jaeger"; "" for the root.
        config: the UI's own settings, see Jaeger's documentation; what `CONFIG` says without.

    Raises:
        NoUi: there is no index.html.
    """
    root = folder.resolve()
    index = _Index(root, base_path, CONFIG if config is None else config)

    def answer(request: Request) -> Response:
        path = request.path_params.get("path", "")
        if path.startswith(_NOT_PAGES):
            return PlainTextResponse("not found", 404)
        file = _file(root, path)
        return index.response() if file is None else FileResponse(file, headers={"Cache-Control": "no-cache"})

    return [Route(f"{base_path}/{{path:path}}", answer, methods=["GET"])]


class _Index:
    """The page, changed once and kept."""

    def __init__(self, root: Path, base_path: str, config: Mapping[str, Any]) -> None:
        try:
            page = (root / "index.html").read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            raise NoUi(root) from None
        self._page = changed(page, base_path, config)

    def response(self) -> Response:
        return HTMLResponse(self._page, headers={"Content-Security-Policy": CSP, "Cache-Control": "no-cache"})


def changed(page: str, base_path: str, config: Mapping[str, Any]) -> str:
    """Return the UI's page with its settings, for all versions of the UI."""
    values = {
        "CONFIG": config,
        "STORAGE_CAPABILITIES": CAPABILITIES,  # up to 2.19
        "BACKEND_CAPABILITIES": CAPABILITIES,  # from 2.20
    }
    for name, value in values.items():
        line = f"JAEGER_{name} = {_script(value)};"
        page = re.sub(rf"JAEGER_{name} *= *DEFAULT_{name};", line.replace("\\", r"\\"), page)
    return _BASE.sub(lambda tag: f"{tag[1]}{escape(base_path)}/{tag[2]}", page) if base_path else page


def _script(value: Mapping[str, Any]) -> str:
    """Return JSON that cannot end the script it stands in."""
    return json.dumps(value).replace("<", "\\u003c")


def _file(root: Path, path: str) -> Path | None:
    """Return the file of a path if it is one inside the folder, but not the page itself."""
    if "\0" in path:
        return None
    try:
        file = (root / path).resolve()
        is_inside = file.is_relative_to(root) and file.is_file()
    except (OSError, RuntimeError, ValueError):
        return None
    return file if is_inside and file != root / "index.html" else None
