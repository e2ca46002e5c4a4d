"""What this server supports: its configuration, resource types and schemas (RFC 7643, 5 to 7). Pure."""

from santaserver.scim.attributes import ResourceKind, Schema
from santaserver.scim.listing import MAX_COUNT
from santaserver.scim.projection import described
from santaserver.scim.schemas import KINDS
from santaserver.scim.values import Resource

CONFIG_URN = "urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"
TYPE_URN = "urn:ietf:params:scim:schemas:core:2.0:ResourceType"
NO = {"supported": False}


def configuration(base: str) -> Resource:
    """Return `/ServiceProviderConfig`."""
    return {
        "schemas": [CONFIG_URN],
        "patch": {"supported": True},
        "bulk": {"supported": False, "maxOperations": 0, "maxPayloadSize": 0},
        "filter": {"supported": True, "maxResults": MAX_COUNT},
        "changePassword": NO,
        "sort": NO,
        "etag": {"supported": True},
        "authenticationSchemes": [
            {
                "type": "oauthbearertoken",
                "name": "Bearer token",
                "description": "A SCIM token, which an administrator creates in the console",
                "specUri": "https://www.rfc-editor.org/info/rfc6750",
                "primary": True,
            }
        ],
        "meta": {"resourceType": "ServiceProviderConfig", "location": f"{base}/ServiceProviderConfig"},
    }


def resource_types(base: str) -> list[Resource]:
    """Return `/ResourceTypes`."""
    return [_resource_type(kind, base) for kind in KINDS]


def _resource_type(kind: ResourceKind, base: str) -> Resource:
    extensions = [{"schema": one.urn, "required": False} for one in kind.extensions]
    return {
        "schemas": [TYPE_URN],
        "id": kind.name,
        "name": kind.name,
        "endpoint": kind.endpoint,
        "description": kind.schema.description,
        "schema": kind.schema.urn,
        **({"schemaExtensions": extensions} if extensions else {}),
        "meta": {"resourceType": "ResourceType", "location": f"{base}/ResourceTypes/{kind.name}"},
    }


def schemas(base: str) -> list[Resource]:
    """Return `/Schemas`."""
    return [_schema(schema, base) for kind in KINDS for schema in kind.schemas]


def _schema(schema: Schema, base: str) -> Resource:
    meta = {"resourceType": "Schema", "location": f"{base}/Schemas/{schema.urn}"}
    return {**described(schema), "meta": meta}
