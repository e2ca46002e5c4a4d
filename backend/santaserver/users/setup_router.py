"""Setup links: who has one chooses a password with it."""

from http import HTTPStatus

from fastapi import Request, Response

from santaserver.authorization import public
from santaserver.current_user import User
from santaserver.deps import NowDep, StateDep, request_info
from santaserver.errors import Conflict, NotFound, TooManyRequests, Unprocessable, responses
from santaserver.routing import AreaRouter
from santaserver.session_cookie import set_session_cookie
from santaserver.users import setup_service as service
from santaserver.users.device import set_device_cookie
from santaserver.users.second_factor_answers import second_factor_needed
from santaserver.users.second_factor_schemas import SecondFactorNeeded
from santaserver.users.second_step import SecondStep
from santaserver.users.setup_schemas import Setup, SetupOffer, SetupQuestion

router = AreaRouter(prefix="/setup", tags=["auth"], responses=responses(NotFound, TooManyRequests))

LINK = public("whoever has a setup link")


@router.post("/link", dependencies=[LINK])
async def read_setup_link(
    question: SetupQuestion, request: Request, state: StateDep, now: NowDep
) -> SetupOffer:
    """Show what a setup link is for; it stays valid."""
    return await service.offer(state, question.secret, request_info(request), now)


@router.post(
    "",
    dependencies=[LINK],
    response_model=User,
    responses={
        **responses(Conflict, Unprocessable),
        HTTPStatus.ACCEPTED: {
            "model": SecondFactorNeeded,
            "description": "The password is set; there is no session before the second factor",
        },
    },
)
async def use_setup_link(
    setup: Setup, request: Request, response: Response, state: StateDep, now: NowDep
) -> User | Response:
    """Choose a password with a setup link, which ends by that, and open a session."""
    user_agent = request.headers.get("user-agent", "")
    done = await service.use(state, setup, request_info(request), user_agent, now)
    if isinstance(done, SecondStep):
        return second_factor_needed(done, state.settings)
    user, token = done
    set_session_cookie(response, token, state.settings)
    set_device_cookie(response, state.settings, user.username, now)
    return user
