"""Secrets at rest: AES-256-GCM, bound to the place they are stored in."""

import base64
import json
import os
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from nimbus_gateway.secret_files import read_or_create

KEY_BYTES = 32
NONCE_BYTES = 12


class SealBrokenError(RuntimeError):
    """A stored secret cannot be opened: the key file is another one, or the row was moved or changed."""


class SecretBox:
    """Seals and opens JSON values with one key."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)

    @classmethod
    def from_file(cls, path: Path) -> "SecretBox":
        """Take the key of a file, which is made at the first start.

        Raises:
            ValueError: the file holds no key.
            OSError: it can be neither read nor made.
        """
        text = read_or_create(path, base64.urlsafe_b64encode(os.urandom(KEY_BYTES)).decode() + "\n")
        try:
            key = base64.urlsafe_b64decode(text)
        except ValueError:
            key = b""
        if len(key) != KEY_BYTES:
            raise ValueError(f"{path} holds no key: it should be {KEY_BYTES} bytes in base64")
        return cls(key)

    def seal(self, value: Any, place: str) -> str:  # noqa: ANN401 - any JSON value
        """Encrypt a JSON value for one place, such as ``plugin/key``."""
        nonce = os.urandom(NONCE_BYTES)
        text = json.dumps(value, separators=(",", ":")).encode()
        return base64.b64encode(nonce + self._cipher.encrypt(nonce, text, place.encode())).decode()

    def open(self, sealed: str, place: str) -> Any:  # noqa: ANN401 - any JSON value
        """Decrypt what was sealed for that place.

        Raises:
            SealBrokenError: key, place or text do not fit together.
        """
        try:
            raw = base64.b64decode(sealed, validate=True)
            return json.loads(self._cipher.decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], place.encode()))
        except (InvalidTag, ValueError) as error:
            raise SealBrokenError(f"the stored secret {place!r} cannot be opened with this key file") from error
