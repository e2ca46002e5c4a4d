"""Second factors in the image: passkeys, encrypted secrets and QR codes with what is installed there."""

from tests.image.container import Container

CODE = """
import os, sys
os.chdir("/app")
sys.path.insert(0, "/app")
import hashlib, json
from base64 import urlsafe_b64encode
from santaserver.passkeys import ceremonies
from santaserver.passkeys.ceremonies import Assertion, Attestation, Owner, Refused
from santaserver.second_factor.qr import qr_code
from santaserver.second_factor.relying_party import relying_party
from santaserver.second_factor.sealing import CannotOpen, open_sealed, seal
from santaserver.secret_keys import SecretKeys
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from fido2 import cbor, cose

party = relying_party("https://santa.example.com")
head = hashlib.sha256(party.id.encode()).digest()

def text(raw):
    return urlsafe_b64encode(raw).rstrip(b"=").decode()

def client(kind, asked):
    return json.dumps({"type": kind, "challenge": asked["challenge"], "origin": party.origin}).encode()

def outcome(key, kind, sign):
    asked = ceremonies.creation_options(party, Owner(b"h" * 32, "ada", "Ada"), b"c" * 32, [])
    public = cbor.encode(dict(kind.from_cryptography_key(key.public_key())))
    data = head + bytes([69]) + bytes(4) + bytes(16) + (4).to_bytes(2) + b"name" + public
    attestation = cbor.encode({"fmt": "none", "attStmt": {}, "authData": data})
    sent = Attestation(text(client("webauthn.create", asked)), text(attestation))
    made = ceremonies.new_credential(party, b"c" * 32, sent)
    asked = ceremonies.request_options(party, b"d" * 32, [made.id])
    used, data = client("webauthn.get", asked), head + bytes([5]) + (7).to_bytes(4)
    found = []
    for message in (data + hashlib.sha256(used).digest(), b"something else"):
        assertion = Assertion(text(made.id), text(used), text(data), text(sign(key, message)))
        try:
            found.append(ceremonies.used_counter(party, b"d" * 32, made.data, assertion))
        except Refused:
            found.append("refused")
    return found

curve, small, big = ec.generate_private_key(ec.SECP256R1()), ed25519.Ed25519PrivateKey.generate(), rsa
print(
    outcome(curve, cose.ES256, lambda key, message: key.sign(message, ec.ECDSA(hashes.SHA256()))),
    outcome(small, cose.EdDSA, lambda key, message: key.sign(message)),
    outcome(
        big.generate_private_key(65537, 2048),
        cose.RS256,
        lambda key, message: key.sign(message, padding.PKCS1v15(), hashes.SHA256()),
    ),
)
sealed = seal(SecretKeys("a"), 1, b"secret")
print(open_sealed(SecretKeys("b", ["a"]), 1, sealed))
try:
    open_sealed(SecretKeys("b"), 1, sealed)
except CannotOpen:
    print("refused")
print(qr_code("otpauth://totp/SantaServer:ada?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ").size)
"""


def test_second_factors_work_with_what_is_in_the_image(running: Container) -> None:
    keys, opened, refused, size = running.python(CODE).splitlines()
    assert keys == " ".join(["[7, 'refused']"] * 3)
    assert opened == "Opened(plain=b'secret', current=False)"
    assert refused == "refused"
    assert size == "45"
