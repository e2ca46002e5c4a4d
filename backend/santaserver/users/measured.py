"""What is counted about people and programs that sign in, for `/metrics`."""

from typing import Literal

from santaserver.instruments import Counter

SignIn = Literal["password", "second_factor", "passkey", "provider", "setup_link"]

SIGN_INS = Counter(
    "sign_ins_total",
    "Sessions opened by the last step of the sign-in.",
    method=("password", "second_factor", "passkey", "provider", "setup_link"),
)
SIGN_INS_REFUSED = Counter(
    "sign_ins_refused_total",
    "Sign-ins refused: what was shown is wrong, or was not looked at after too many wrong ones.",
    method=("password", "second_factor", "passkey", "setup_link"),
    reason=("wrong", "throttled"),
)
TOKENS_REFUSED = Counter(
    "tokens_refused_total",
    "Requests refused for their API or SCIM token: it does not exist, or it exists and is not valid here and "
    "now.",
    kind=("token", "scim_token"),
    reason=("unknown", "not_valid"),
)

INSTRUMENTS = (SIGN_INS, SIGN_INS_REFUSED, TOKENS_REFUSED)
