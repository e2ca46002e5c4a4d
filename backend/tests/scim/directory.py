"""A directory: a client of `/scim/v2` with a token, and the bodies that Entra and Okta send."""

from datetime import timedelta
from types import TracebackType
from typing import Any, Self

import httpx

from tests.support import secrets
from tests.support.rest_client import RestClient
from tests.support.server import RunningServer

SCIM = "/scim/v2"
TOKENS = "/api/v1/scim/tokens"
USER = "urn:ietf:params:scim:schemas:core:2.0:User"
GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
ERROR = "urn:ietf:params:scim:api:messages:2.0:Error"
LIST = "urn:ietf:params:scim:api:messages:2.0:ListResponse"
MEDIA_TYPE = "application/scim+json"

Body = dict[str, Any]


def new_token(admin: httpx.Client, server: RunningServer, **fields: Any) -> Body:  # noqa: ANN401 - JSON
    """Make a SCIM token; return it with its secret."""
    ends = (server.clock() + timedelta(days=30)).isoformat()
    response = admin.post(TOKENS, json={"name": "Entra", "expires_at": ends, **fields})
    assert response.status_code == httpx.codes.CREATED, response.text
    made: Body = response.json()
    secrets.remember(made["secret"])
    return made


class Directory:
    """What provisions people and groups."""

    def __init__(self, server: RunningServer, secret: str, admin: httpx.Client) -> None:
        """Use a token; `admin` is whoever manages the server."""
        self.server = server
        self.admin = admin
        self.client: RestClient = server.client(Authorization=f"Bearer {secret}")

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close its connections."""
        self.client.close()

    def send(self, method: str, path: str, body: Any = None, **options: Any) -> httpx.Response:  # noqa: ANN401
        """Send a request below `/scim/v2`."""
        if body is None:
            return self.client.request(method, SCIM + path, **options)
        headers = {"Content-Type": f"{MEDIA_TYPE}; charset=utf-8", **options.pop("headers", {})}
        return self.client.request(method, SCIM + path, json=body, headers=headers, **options)

    def get(self, path: str, **parameters: str) -> Body:
        """Return what there is at a path."""
        response = self.send("GET", path, params=parameters)
        assert response.status_code == httpx.codes.OK, response.text
        answer: Body = response.json()
        return answer

    def found(self, path: str, text: str, **parameters: str) -> list[Body]:
        """Return what a filter finds."""
        answer = self.get(path, filter=text, **parameters)
        assert answer["totalResults"] == len(answer["Resources"])
        resources: list[Body] = answer["Resources"]
        return resources

    def user(self, name: str, /, **attributes: Any) -> Body:  # noqa: ANN401 - JSON
        """Create a person."""
        response = self.send("POST", "/Users", {"schemas": [USER], "userName": name, **attributes})
        assert response.status_code == httpx.codes.CREATED, response.text
        made: Body = response.json()
        return made

    def group(self, name: str, /, *members: Body, **attributes: Any) -> Body:  # noqa: ANN401 - JSON
        """Create a group."""
        told = [{"value": one["id"]} for one in members]
        body = {"schemas": [GROUP], "displayName": name, "members": told, **attributes}
        response = self.send("POST", "/Groups", body)
        assert response.status_code == httpx.codes.CREATED, response.text
        made: Body = response.json()
        return made

    def patch(self, path: str, *operations: Body) -> httpx.Response:
        """Change something."""
        return self.send("PATCH", path, {"schemas": [PATCH], "Operations": list(operations)})

    def members(self, group: Body) -> list[str]:
        """Return the ids of the members of a group."""
        return [one["value"] for one in self.get(f"/Groups/{group['id']}").get("members", [])]


def path_of(resource: Body) -> str:
    """Return the path of a resource."""
    return f"/{resource['meta']['resourceType']}s/{resource['id']}"


def is_error(response: httpx.Response, status: int, kind: str | None = None) -> bool:
    """Tell whether a response is an error as SCIM describes it; show it if not."""
    body = response.json()
    fits = (
        response.status_code == status
        and body["schemas"] == [ERROR]
        and body["status"] == str(status)
        and body.get("scimType") == kind
        and body["detail"]
        and response.headers["content-type"] == MEDIA_TYPE
    )
    assert fits, (response.status_code, response.headers.get("content-type"), body)
    return True
