"""The addresses of the database with the password that its file holds now.

Secrets in files are rotated while this process runs (Kubernetes, Vault): the file is read for each new
connection. If it cannot be read, or its content is invalid, the previous password stays.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable

from santaserver.database_settings import DatabaseSettings
from santaserver.settings_area import SettingsError

log = logging.getLogger("santaserver.db")

Hide = Callable[[Iterable[str]], None]


class DatabaseAddress:
    """Where to connect, and with which password."""

    def __init__(self, settings: DatabaseSettings, hide: Hide) -> None:
        """Start with the settings; `hide` keeps new passwords out of the log."""
        self._settings = settings
        self._hide = hide
        self._trouble = ""

    async def current(self) -> DatabaseSettings:
        """Return what holds for a new connection."""
        if self._settings.secret_files:
            await asyncio.to_thread(self._reread)
        return self._settings

    def _reread(self) -> None:
        try:
            found = self._settings.reread()
        except SettingsError as error:
            if str(error) != self._trouble:
                log.warning("new database connections keep the previous password: %s", error)
            self._trouble = str(error)
            return
        self._trouble = ""
        if found != self._settings:
            self._hide(found.secrets)
            self._settings = found
            log.info("new database connections use the changed %s", " and ".join(found.secret_files))
