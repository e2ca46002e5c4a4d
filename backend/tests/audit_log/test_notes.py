"""Checkpoints as signed notes: RFC 8032's vectors, C2SP's form, and what is refused."""

import base64
import hashlib
import subprocess
from pathlib import Path

import pytest

from santaserver import ed25519
from santaserver.audit_log.notes import BadNote, Signer, Verifier, read_all, write

VECTORS = [
    (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        (
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46b"
            "d25bf5f0595bbe24655141438e7a100b"
        ),
    ),
    (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        (
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c"
            "387b2eaeb4302aeeb00d291612bb0c00"
        ),
    ),
]
SEED = bytes(range(32))
ROOT = hashlib.sha256(b"root").digest()


@pytest.mark.parametrize(("seed", "public", "message", "signature"), VECTORS)
def test_the_vectors_of_rfc_8032(seed: str, public: str, message: str, signature: str) -> None:
    raw, said = bytes.fromhex(seed), bytes.fromhex(message)
    assert ed25519.public_key(raw).hex() == public
    made = ed25519.sign(raw, said)
    assert made.hex() == signature
    assert ed25519.verify(bytes.fromhex(public), made, said)
    assert not ed25519.verify(bytes.fromhex(public), made, said + b"x")
    assert not ed25519.verify(bytes.fromhex(public), made[:-1] + b"\1", said)
    assert not ed25519.verify(bytes.fromhex(public), b"", said)
    assert not ed25519.verify(ed25519.public_key(SEED), made, said)


def test_a_note_has_the_form_that_others_read() -> None:
    signer = Signer("santa.example.com/audit", SEED)
    text = write(signer.name, 1234, ROOT, signer)
    body, _, signatures = text.partition("\n\n")
    assert body == f"santa.example.com/audit\n1234\n{base64.b64encode(ROOT).decode()}"
    assert signatures.startswith("\u2014 santa.example.com/audit ")
    assert signatures.endswith("\n")
    raw = base64.b64decode(signatures.split()[-1])
    key = ed25519.public_key(SEED)
    assert raw[:4] == hashlib.sha256(b"santa.example.com/audit\n\x01" + key).digest()[:4]
    assert len(raw) == 4 + 64
    (read,) = read_all(text)
    assert (read.origin, read.size, read.root) == (signer.name, 1234, ROOT)
    assert read.signed_by(signer.verifier)
    assert Verifier.read(str(signer.verifier)) == signer.verifier


def test_a_file_has_many_notes_signed_and_not() -> None:
    signer = Signer("a", SEED)
    text = "\n".join(write("a", size, ROOT, signer if size % 2 else None) for size in range(4))
    assert [(note.size, note.signed_by(signer.verifier)) for note in read_all(text)] == [
        (0, False),
        (1, True),
        (2, False),
        (3, True),
    ]
    assert len(read_all("".join(write("a", size, ROOT, signer) for size in range(3)))) == 3


@pytest.mark.parametrize("change", [("1234", "1235"), ("santa", "satan"), ("\u2014 santa", "\u2014 other")])
def test_another_text_or_name_is_not_signed(change: tuple[str, str]) -> None:
    signer = Signer("santa", SEED)
    (read,) = read_all(write("santa", 1234, ROOT, signer).replace(*change))
    assert not read.signed_by(signer.verifier)


def test_another_key_of_the_same_name_did_not_sign() -> None:
    (read,) = read_all(write("santa", 1, ROOT, Signer("santa", SEED)))
    assert not read.signed_by(Signer("santa", SEED[::-1]).verifier)


@pytest.mark.parametrize(
    "text",
    [
        "a\n1\n",
        "a\nx\nAAAA\n\n",
        "a\n-1\n" + base64.b64encode(ROOT).decode() + "\n\n",
        "a\n01\n" + base64.b64encode(ROOT).decode() + "\n\n",
        "a\n1\nAAAA\n\n",
        "a\n1\n!!\n\n",
        "<html>",
    ],
)
def test_what_is_no_note_is_refused(text: str) -> None:
    with pytest.raises(BadNote):
        read_all(text)


@pytest.mark.parametrize("text", ["", "a", "a+b+c", "a+00000000+AAAA", "+" + "0" * 8 + "+", "a+00000000+!"])
def test_what_is_no_verifier_key_is_refused(text: str) -> None:
    with pytest.raises(BadNote):
        Verifier.read(text)
    good = str(Signer("a", SEED).verifier)
    with pytest.raises(BadNote):
        Verifier.read(good.replace("a+", "b+", 1))


def test_the_key_that_openssl_makes_is_read(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    for algorithm, good in (("ed25519", True), ("x25519", False)):
        subprocess.run(["openssl", "genpkey", "-algorithm", algorithm, "-out", path], check=True)  # noqa: S603, S607
        if good:
            shown = subprocess.run(  # noqa: S603
                ["openssl", "pkey", "-in", path, "-pubout", "-outform", "DER"],  # noqa: S607
                check=True,
                capture_output=True,
            ).stdout
            assert ed25519.public_key(ed25519.seed_of(path.read_text())) == shown[-32:]
        else:
            with pytest.raises(ed25519.BadKey):
                ed25519.seed_of(path.read_text())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END",
        "-----BEGIN PRIVATE KEY-----\n!!\n-----",
    ],
)
def test_what_is_no_private_key_is_refused(text: str) -> None:
    with pytest.raises(ed25519.BadKey):
        ed25519.seed_of(text)
