"""Reads what a client certificate says about its Mac."""

import re

from cryptography import x509


def names_serial(der: bytes, serial: str) -> bool:
    """Tell whether a certificate's subject contains a serial number, whole and in any letter case.

    Which attribute has it depends on who issues the certificates: often the common name, alone or in a host
    name, or the serial number.
    """
    if not serial:
        return False
    word = re.compile(rf"(?<![A-Za-z0-9]){re.escape(serial)}(?![A-Za-z0-9])", re.IGNORECASE)
    return any(word.search(value) for value in subject_of(der))


def subject_of(der: bytes) -> list[str]:
    """Return the texts of a certificate's subject; none of what is no certificate."""
    try:
        subject = x509.load_der_x509_certificate(der).subject
    except ValueError:
        return []
    return [attribute.value for attribute in subject if isinstance(attribute.value, str)]
