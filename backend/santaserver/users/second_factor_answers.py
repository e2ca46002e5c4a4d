"""The response to a right password that is not enough."""

from http import HTTPStatus

from fastapi.responses import JSONResponse

from santaserver.second_factor.pending import COOKIE
from santaserver.settings import Settings
from santaserver.users.second_factor_schemas import SecondFactorNeeded
from santaserver.users.second_step import SecondStep


def second_factor_needed(step: SecondStep, settings: Settings) -> JSONResponse:
    """Return what the browser goes on with: a cookie, and the ways there are."""
    body = SecondFactorNeeded.of(step.factors).model_dump()
    response = JSONResponse(body, HTTPStatus.ACCEPTED)
    COOKIE.set(response, step.secret, settings)
    return response
