"""The settings of the identity provider: what is wrong is told at once, with what to do."""

from pathlib import Path

import pytest

from santaserver.settings import Settings, load
from santaserver.settings_area import SettingsError

TENANT = "6f1ce3a1-2d0b-4c55-9a37-0e6d6a2b7c11"
ENTRA = {
    "TENANT_ID": TENANT,
    "CLIENT_ID": "app",
    "CLIENT_SECRET": "a-client-secret",
    "PUBLIC_URL": "https://santa.example.com",
}
OTHER = {**ENTRA, "OIDC_ISSUER": "https://login.example.com/realms/a"}
del OTHER["TENANT_ID"]


def errors(environ: dict[str, str]) -> list[str]:
    """Return what is wrong with settings."""
    with pytest.raises(SettingsError) as raised:
        load(environ)
    return raised.value.errors


def test_entra_needs_three_values_and_another_provider_too() -> None:
    entra = load(ENTRA).identity
    assert entra.issuer == f"https://login.microsoftonline.com/{TENANT}/v2.0"
    assert entra.provider_name == "Microsoft"
    other = load(OTHER).identity
    assert (other.issuer, other.provider_name) == (OTHER["OIDC_ISSUER"], "login.example.com")
    assert load({}).identity.issuer == Settings().identity.issuer == ""


def test_the_client_secret_can_be_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("from-a-file\n")
    environ = {**ENTRA, "CLIENT_SECRET_FILE": str(file)}
    del environ["CLIENT_SECRET"]
    assert load(environ).identity.client_secret == "from-a-file"
    file.write_text("")
    (error,) = errors(environ)
    assert error == f"CLIENT_SECRET_FILE: {file} is empty"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"TENANT_ID": "common"}, "lets in people of every organization"),
        ({"TENANT_ID": "Organizations"}, "lets in people of every organization"),
        ({"TENANT_ID": "consumers"}, "lets in people of every organization"),
        ({"TENANT_ID": "contoso.onmicrosoft.com"}, "TENANT_ID is not a GUID"),
        ({"TENANT_ID": f"{TENANT}/"}, "TENANT_ID is not a GUID"),
        ({"CLIENT_ID": ""}, "CLIENT_ID is missing"),
        ({"CLIENT_SECRET": " "}, "CLIENT_SECRET is missing"),
        ({"PUBLIC_URL": ""}, "PUBLIC_URL is missing"),
        ({"OIDC_ISSUER": "https://login.example.com"}, "does not have the tenant of TENANT_ID"),
        ({"OIDC_GROUP_ROLES": "admins=admin"}, "not the object id of a group"),
        ({"OIDC_GROUP_ROLES": f"{TENANT}=root"}, "there is no role 'root'"),
        ({"OIDC_GROUP_ROLES": f"{TENANT}"}, "has to be GROUP=ROLE"),
        ({"OIDC_GROUP_ROLES": "=admin"}, "has to be GROUP=ROLE"),
    ],
)
def test_a_wrong_value_for_entra_is_told_with_what_to_do(changes: dict[str, str], said: str) -> None:
    (error,) = errors(ENTRA | changes)
    assert said in error
    assert ": " in error


@pytest.mark.parametrize(
    ("issuer", "said"),
    [
        ("login.example.com", "not a URL"),
        ("ftp://login.example.com", "not a URL"),
        ("https://", "not a URL"),
        ("https://login.example.com:port", "not a URL"),
        ("https://[::1", "not a URL"),
        ("http://login.example.com", "needs https"),
        ("http://10.0.0.1", "needs https"),
        ("https://u:p@login.example.com", "user name or password"),
        ("https://login.example.com/?a=1", "query or fragment"),
        ("https://login.example.com/#a", "query or fragment"),
        ("https://login.example.com/.well-known/openid-configuration", "address of the metadata"),
        (f"https://login.microsoftonline.com/{TENANT}/v2.0", "set TENANT_ID"),
        ("https://login.microsoftonline.com/common/v2.0", "set TENANT_ID"),
        (f"https://sts.windows.net/{TENANT}/", "set TENANT_ID"),
    ],
)
def test_a_wrong_issuer_is_told_with_what_to_do(issuer: str, said: str) -> None:
    (error,) = errors(OTHER | {"OIDC_ISSUER": issuer})
    assert said in error
    assert "u:p" not in error


@pytest.mark.parametrize(
    "environ",
    [
        OTHER | {"OIDC_ISSUER": "http://127.0.0.1:8081"},
        OTHER | {"OIDC_ISSUER": "http://localhost:8081/oidc"},
        OTHER | {"OIDC_ISSUER": "https://login.example.com/"},
        ENTRA | {"OIDC_ISSUER": f"https://login.microsoftonline.us/{TENANT}/v2.0"},
        ENTRA | {"TENANT_ID": TENANT.upper()},
        OTHER | {"OIDC_GROUP_ROLES": "cn=a,dc=b=admin;;\n x y =viewer;"},
    ],
)
def test_what_is_right_is_accepted(environ: dict[str, str]) -> None:
    assert load(environ).identity.issuer


def test_everything_is_told_at_once() -> None:
    found = errors({"TENANT_ID": "common", "OIDC_ISSUER": "http://x", "OIDC_GROUP_ROLES": "a=b"})
    for word in ("TENANT_ID", "OIDC_ISSUER", "CLIENT_ID", "CLIENT_SECRET", "PUBLIC_URL", "OIDC_GROUP_ROLES"):
        assert any(error.startswith(word) for error in found), word


@pytest.mark.parametrize("name", ["CLIENT_ID", "CLIENT_SECRET", "OIDC_NAME", "OIDC_GROUP_ROLES"])
def test_a_value_without_a_provider_is_an_error(name: str) -> None:
    (error,) = errors({name: "abc-def-ghi"})
    assert error.startswith(name)
    assert "set TENANT_ID" in error
    assert "abc-def-ghi" not in error


def test_group_roles_are_read_in_any_order() -> None:
    text = "staff=viewer; cn=a,dc=b=admin\nstaff=auditor"
    found = load(OTHER | {"OIDC_GROUP_ROLES": text}).identity.group_roles
    assert found == {"staff": frozenset({"viewer", "auditor"}), "cn=a,dc=b": frozenset({"admin"})}
