"""Signatures of identity providers in the image: Debian's cryptography on the image's own OpenSSL."""

from tests.image.container import Container

CODE = """
import os, sys
os.chdir("/app")
sys.path.insert(0, "/app")
from santaserver.oidc import tokens
from santaserver.oidc.keys import key_set
import cryptography, jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa

def outcome(token, key, algorithm):
    try:
        header = tokens.header_of(token, tokens.ID_TYPES)
        public = {**key.to_dict(), "kid": "a"} if hasattr(key, "to_dict") else key
        return tokens.verified(token, header, jwt.PyJWK(public, algorithm))["sub"]
    except tokens.BadToken as error:
        return str(error).split(":")[0]

def public_of(private, algorithm):
    return {**jwt.get_algorithm_by_name(algorithm).to_jwk(private.public_key(), as_dict=True), "kid": "a"}

pair = rsa.generate_private_key(public_exponent=65537, key_size=2048)
other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
curve = ec.generate_private_key(ec.SECP256R1())
for algorithm, private in (("RS256", pair), ("PS256", pair), ("ES256", curve), ("RS256", other)):
    token = jwt.encode({"sub": "lena"}, private, algorithm, headers={"kid": "a"})
    public = public_of(curve if algorithm == "ES256" else pair, algorithm)
    assert key_set({"keys": [public]}, "https://login.example.com")
    print(outcome(token, public, algorithm))
print(outcome(token[:-8] + "AAAAAAAA", public_of(other, "RS256"), "RS256"))
print(cryptography.__file__)
"""


def test_tokens_are_verified_with_what_is_in_the_image(running: Container) -> None:
    *results, place = running.python(CODE).splitlines()
    assert results == ["lena"] * 3 + ["its signature is not valid"] * 2
    assert place.startswith("/usr/lib/python3/dist-packages/cryptography/")
