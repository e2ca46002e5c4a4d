"""Ways to log in, in the REST interface."""

from pydantic import BaseModel, Field


class ProviderChoice(BaseModel):
    """An identity provider that people can sign in through."""

    name: str = Field(description="What people know it by")
    start: str = Field(description="Where the browser goes; takes `next`, the page to show afterwards")


class FailedSignIn(BaseModel):
    """Why a sign-in failed, in words."""

    message: str
    hint: str = Field(description="What to do about it")


class LoginMethods(BaseModel):
    """How people can log in."""

    local: bool = Field(description="Whether there are local accounts with passwords; always true")
    passkeys: bool = Field(description="Whether people of local accounts can sign in with passkeys")
    provider: ProviderChoice | None = Field(description="Null without one")
    failure: FailedSignIn | None = Field(description="What the code in `failure` means")
