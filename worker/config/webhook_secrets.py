"""The secrets that alerts are signed with, as Standard Webhooks writes them."""

import base64
import binascii
from typing import Final

from pydantic import SecretStr

PREFIX: Final = "whsec_"
"""Before a secret in base64; several of them, while one takes another's place, stand with blanks between."""


def secrets_of(text: str) -> list[bytes]:
    """The secrets, each with which a message is signed; raises ValueError for one that is not base64.

    Text without the prefix is one secret by itself: to receivers it is the prefix and the text in base64.
    """
    parts = text.split()
    if not all(part.startswith(PREFIX) for part in parts):
        return [text.encode()]
    try:
        found = [base64.b64decode(part.removeprefix(PREFIX), validate=True) for part in parts]
    except binascii.Error:
        raise ValueError(f"should be base64 behind {PREFIX}") from None
    if not all(found):
        raise ValueError(f"should have a secret behind {PREFIX}")
    return found


def check_secrets(secret: SecretStr) -> SecretStr:
    """The same text, if it is usable; raises ValueError, which quotes nothing of it."""
    secrets_of(secret.get_secret_value())
    return secret
