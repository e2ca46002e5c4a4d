"""All endpoints of the REST interface, and those beside it."""

from functools import cache

from fastapi import APIRouter, Depends
from starlette.routing import BaseRoute

from santaserver import docs, openapi
from santaserver.audit_log.router import router as audit_log
from santaserver.blocked.router import router as blocked
from santaserver.changes.router import router as changes
from santaserver.enrollment.router import router as enrollments
from santaserver.essentials.router import router as essentials
from santaserver.events.report_router import router as event_reports
from santaserver.events.router import router as events
from santaserver.explain.router import router as explain
from santaserver.groups.router import router as groups
from santaserver.health.router import routes as health_routes
from santaserver.layers.router import router as layers
from santaserver.live.router import router as live
from santaserver.machines.router import router as machines
from santaserver.metrics.router import routes as metrics_routes
from santaserver.oidc.provider_router import router as for_provider
from santaserver.oidc.router import router as sign_in
from santaserver.overview.router import router as overview
from santaserver.passkeys.router import router as passkeys
from santaserver.programs.router import router as programs
from santaserver.query_names import check_query
from santaserver.routing import API
from santaserver.rules.router import router as rules
from santaserver.rules.transfer_router import router as rule_files
from santaserver.scim.router import router as scim
from santaserver.status.router import router as status
from santaserver.sync_settings.router import router as sync_settings
from santaserver.tags.router import router as tags
from santaserver.tokens.router import router as tokens
from santaserver.users.account_router import router as accounts
from santaserver.users.role_router import router as roles
from santaserver.users.router import router as users
from santaserver.users.second_factor_router import router as second_factor
from santaserver.users.session_router import router as sessions
from santaserver.users.setup_router import router as setup


@cache
def endpoints() -> list[BaseRoute]:
    """Return them; built once per process, because that takes most of the time of `create_app`."""
    rest = APIRouter(
        prefix=API,
        redirect_slashes=False,
        generate_unique_id_function=openapi.operation_id,
    )
    for router in (
        users,
        second_factor,
        passkeys,
        sign_in,
        sessions,
        accounts,
        roles,
        groups,
        setup,
        tokens,
        scim,
        overview,
        machines,
        rule_files,  # before `rules`, whose paths take any word for an id
        rules,
        layers,
        tags,
        explain,
        events,
        event_reports,
        programs,
        sync_settings,
        essentials,
        enrollments,
        blocked,
        audit_log,
        changes,
        status,
        live,
    ):
        rest.include_router(router, dependencies=[Depends(check_query)])
    rest.include_router(for_provider)  # which may send further parameters
    return [*rest.routes, *health_routes(), *metrics_routes(), *docs.routes(API)]
