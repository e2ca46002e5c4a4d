"""The schemas of users and groups: what this server stores of RFC 7643, and nothing else. Pure."""

from santaserver.scim.attributes import Attribute, ResourceKind, Schema

USER_URN = "urn:ietf:params:scim:schemas:core:2.0:User"
GROUP_URN = "urn:ietf:params:scim:schemas:core:2.0:Group"
ENTERPRISE_URN = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"


def _text(name: str, description: str) -> Attribute:
    return Attribute(name, description)


def _values(name: str, description: str, *kinds: str, value: str = "The value") -> Attribute:
    """Return a list of values with a type each, such as e-mail addresses."""
    return Attribute(
        name,
        description,
        kind="complex",
        multi=True,
        parts=(
            _text("value", value),
            _text("display", "The value as people read it"),
            Attribute("type", "What it is for", canonical=kinds),
            Attribute("primary", "Whether it is the first choice", kind="boolean"),
        ),
    )


USER_NAME = Attribute(
    "userName",
    "The name of the user: unique, whatever its case, and also for names that look alike",
    required=True,
    uniqueness="server",
)

USER_SCHEMA = Schema(
    USER_URN,
    "User",
    "A person",
    (
        USER_NAME,
        Attribute(
            "name",
            "The parts of the name",
            kind="complex",
            parts=(
                _text("formatted", "The whole name"),
                _text("familyName", "The family name"),
                _text("givenName", "The given name"),
                _text("middleName", "The middle names"),
                _text("honorificPrefix", "What is put before the name"),
                _text("honorificSuffix", "What is put behind the name"),
            ),
        ),
        _text("displayName", "The name that is shown"),
        _text("nickName", "What friends say"),
        Attribute(
            "profileUrl",
            "The address of a page about the user",
            kind="reference",
            case_exact=True,
            references=("external",),
        ),
        _text("title", "The job title"),
        _text("userType", "The relation to the organization"),
        _text("preferredLanguage", "The preferred language"),
        _text("locale", "The place by whose customs dates and numbers are written"),
        _text("timezone", "The time zone"),
        Attribute(
            "active",
            "Whether the user may sign in; false ends all sessions and API tokens of the user",
            kind="boolean",
        ),
        _values("emails", "E-mail addresses", "work", "home", "other", value="The address"),
        _values(
            "phoneNumbers",
            "Telephone numbers",
            "work",
            "home",
            "mobile",
            "fax",
            "pager",
            "other",
            value="The number",
        ),
        Attribute(
            "addresses",
            "Postal addresses",
            kind="complex",
            multi=True,
            parts=(
                _text("formatted", "The whole address"),
                _text("streetAddress", "Street and number"),
                _text("locality", "The city"),
                _text("region", "The state or region"),
                _text("postalCode", "The postal code"),
                _text("country", "The country"),
                Attribute("type", "What it is for", canonical=("work", "home", "other")),
                Attribute("primary", "Whether it is the first choice", kind="boolean"),
            ),
        ),
        _values("roles", "What the directory calls roles; gives nothing here", value="The role"),
        Attribute(
            "groups",
            "The groups that the user is a member of",
            kind="complex",
            multi=True,
            mutability="readOnly",
            parts=(
                Attribute("value", "The id of the group", case_exact=True, mutability="readOnly"),
                Attribute(
                    "$ref",
                    "The address of the group",
                    kind="reference",
                    case_exact=True,
                    mutability="readOnly",
                    references=("Group",),
                ),
                Attribute("display", "The name of the group", mutability="readOnly"),
                Attribute("type", "direct", mutability="readOnly", canonical=("direct",)),
            ),
        ),
    ),
)

ENTERPRISE_SCHEMA = Schema(
    ENTERPRISE_URN,
    "EnterpriseUser",
    "A person of an organization",
    (
        _text("employeeNumber", "The number of the employee"),
        _text("costCenter", "The cost center"),
        _text("organization", "The organization"),
        _text("division", "The division"),
        _text("department", "The department"),
        Attribute(
            "manager",
            "The manager",
            kind="complex",
            parts=(
                Attribute("value", "The id of the manager", case_exact=True),
                Attribute(
                    "$ref",
                    "The address of the manager",
                    kind="reference",
                    case_exact=True,
                    references=("User",),
                ),
                _text("displayName", "The name of the manager"),
            ),
        ),
    ),
)

MEMBERS = Attribute(
    "members",
    "The members: users that were provisioned before",
    kind="complex",
    multi=True,
    parts=(
        Attribute("value", "The id of the user", case_exact=True, mutability="immutable"),
        Attribute(
            "$ref",
            "The address of the user",
            kind="reference",
            case_exact=True,
            mutability="immutable",
            references=("User",),
        ),
        Attribute("type", "User", mutability="immutable", canonical=("User",)),
    ),
)

GROUP_SCHEMA = Schema(
    GROUP_URN,
    "Group",
    "A group of people",
    (
        Attribute("displayName", "The name of the group", required=True, uniqueness="server"),
        MEMBERS,
    ),
)

USER = ResourceKind(
    "User",
    "/Users",
    USER_SCHEMA,
    (ENTERPRISE_SCHEMA,),
    frozenset({"password", "ims", "photos", "entitlements", "x509certificates"}),
)
GROUP = ResourceKind("Group", "/Groups", GROUP_SCHEMA)
KINDS = (USER, GROUP)
