"""How to log in, and the way to the identity provider."""

from http import HTTPStatus
from typing import Annotated, Any

from fastapi import Query, Request, Response
from fastapi.responses import RedirectResponse

from santaserver.authorization import public
from santaserver.deps import StateDep, request_info
from santaserver.errors import NotFound, TooManyRequests, responses
from santaserver.inputs import Stored
from santaserver.oidc import failures, service
from santaserver.oidc.browser_cookie import read_browser_cookie, set_browser_cookie
from santaserver.oidc.failures import SignInRefused
from santaserver.oidc.pages import failed
from santaserver.oidc.provider import Provider
from santaserver.oidc.schemas import FailedSignIn, LoginMethods, ProviderChoice
from santaserver.routing import API, AreaRouter
from santaserver.second_factor.relying_party import relying_party
from santaserver.state import AppState

router = AreaRouter(prefix="/auth", tags=["auth"])

START = "/oidc/start"
BROWSER: dict[int | str, dict[str, Any]] = {
    HTTPStatus.SEE_OTHER: {"description": "Where the browser goes next"},
    HTTPStatus.BAD_GATEWAY: {"description": "The identity provider does not answer, or not as it has to"},
}


def provider_of(state: AppState) -> Provider:
    """Return the identity provider; raise `NotFound` without one."""
    if state.provider is None:
        raise NotFound(failures.FAILURES[failures.NOT_CONFIGURED].message)
    return state.provider


@router.get("/methods", dependencies=[public("how to log in")])
async def login_methods(
    state: StateDep,
    failure: Annotated[
        str, Query(max_length=60, description="Code of a failed sign-in, as the login page is opened with it")
    ] = "",
) -> LoginMethods:
    """Show how people can log in."""
    provider = state.provider
    name, public_url = (provider.name, provider.public_url) if provider else ("", "")
    words = failures.told(failure, name, public_url) if failure else None
    return LoginMethods(
        local=True,
        passkeys=relying_party(state.settings.server.public_url) is not None,
        provider=ProviderChoice(name=name, start=f"{API}{router.prefix}{START}") if provider else None,
        failure=FailedSignIn(message=words.message, hint=words.hint) if words else None,
    )


@router.get(
    START,
    dependencies=[public("begin to sign in")],
    status_code=HTTPStatus.SEE_OTHER,
    response_class=Response,
    responses={**responses(NotFound, TooManyRequests), **BROWSER},
)
async def start_sign_in(
    request: Request,
    state: StateDep,
    following: Annotated[
        Stored, Query(alias="next", description="Path of the page to show afterwards; any other becomes /")
    ] = "/",
) -> Response:
    """Send the browser to the identity provider."""
    provider = provider_of(state)
    browser = read_browser_cookie(request.cookies, state.settings)
    try:
        begun = await service.begin(state, provider, browser, following, request_info(request))
    except SignInRefused as error:
        return failed(request, provider, error)
    response = RedirectResponse(begun.address, HTTPStatus.SEE_OTHER)
    set_browser_cookie(response, begun.browser, state.settings)
    return response
