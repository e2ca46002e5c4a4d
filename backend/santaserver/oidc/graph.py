"""The groups of a person in Microsoft Graph, when a token has too many to list them.

The address that the token itself names is never used: whoever makes tokens could send requests from here.
"""

import asyncio

from santaserver.oidc.fetch import OK, Fetcher, ProviderError, Unreachable

DEADLINE = 5.0
"""Seconds for all pages together."""
PATH = "/v1.0/me/transitiveMemberOf?$select=id&$top=999"
MAX_PAGES = 20


async def groups_of(fetcher: Fetcher, graph: str, access_token: str) -> list[str]:
    """Return the object ids of all groups, nested ones too; raise `ProviderError`."""
    try:
        async with asyncio.timeout(DEADLINE):
            return await _pages(fetcher, graph, access_token)
    except TimeoutError as error:
        raise Unreachable(f"Microsoft Graph did not answer within {DEADLINE:.0f} s") from error


async def _pages(fetcher: Fetcher, graph: str, access_token: str) -> list[str]:
    groups: list[str] = []
    address: object = graph + PATH
    for _ in range(MAX_PAGES):
        headers = {"Authorization": f"Bearer {access_token}"}
        answer = await fetcher.send(str(address), headers, deadline=DEADLINE)
        if answer.status != OK:
            needed = "the app needs the delegated permission User.Read"
            raise ProviderError(f"Microsoft Graph has status {answer.status}: {needed}")
        document = answer.json()
        found = document.get("value")
        listed = found if isinstance(found, list) else []
        groups += [str(group["id"]) for group in listed if isinstance(group, dict) and "id" in group]
        address = document.get("@odata.nextLink")
        if address is None:
            return groups
        if not isinstance(address, str) or not address.startswith(f"{graph}/"):
            raise ProviderError("Microsoft Graph continues at another address")
    raise ProviderError(f"Microsoft Graph has more than {MAX_PAGES} pages of groups")
