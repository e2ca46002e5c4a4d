"""Routes of the REST interface, matched by area."""

from fastapi import APIRouter
from starlette.routing import Match
from starlette.types import Scope

API = "/api/v1"


class AreaRouter(APIRouter):
    """Routes below a prefix of their own: FastAPI would try each of them for each request, twice."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Skip paths with another prefix at once."""
        if not scope["path"].startswith(API + self.prefix):
            return Match.NONE, {}
        return super().matches(scope)
