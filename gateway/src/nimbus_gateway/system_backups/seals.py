"""The key that seals the secrets in a file: made of a passphrase, so that another machine can open them."""

import base64
import os
from typing import IO, Final

from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from nimbus_sdk.contracts.system_backup import BackupSecrets

from nimbus_gateway.core.config.sealing import KEY_BYTES, SealBrokenError, SecretBox
from nimbus_gateway.errors import BackupRefusedError, ForbiddenError
from nimbus_gateway.system_backups.rows import KEPT, WITH_SECRETS, resealed
from nimbus_gateway.system_backups.verify import Verified, table_rows

_SALT_BYTES: Final = 16
_PLACE: Final = "passphrase"
_KNOWN: Final = "nimbus"
_FILE: Final = "file"


def _box(passphrase: str, salt: bytes) -> SecretBox:
    """Takes 128 MiB for a moment, and about half a second."""
    return SecretBox(Scrypt(salt=salt, length=KEY_BYTES, n=2**17, r=8, p=1).derive(passphrase.encode()))


def new_seal(passphrase: str) -> tuple[SecretBox, BackupSecrets]:
    """The box for a new file, and what is needed to make it again."""
    salt = os.urandom(_SALT_BYTES)
    box = _box(passphrase, salt)
    text = base64.b64encode(salt).decode()
    return box, BackupSecrets(kdf="scrypt-17-8-1", salt=text, check=box.seal(_KNOWN, _PLACE))


def open_seal(passphrase: str, secrets: BackupSecrets) -> SecretBox:
    """The box of a file.

    Raises:
        ForbiddenError: it has another passphrase.
    """
    try:
        box = _box(passphrase, base64.b64decode(secrets.salt, validate=True))
        if box.open(secrets.check, _PLACE) == _KNOWN:
            return box
    except (SealBrokenError, ValueError):
        pass
    raise ForbiddenError("The backup has another passphrase. Nothing was changed.")


def seal_of(box: SecretBox, sums: str) -> str:
    """What vouches that whoever wrote a file knew its passphrase: the checksum of its checksums, sealed."""
    return box.seal(sums, _FILE)


def check_seal(box: SecretBox, sums: str, seal: str) -> None:
    """See that a file is as it was written.

    Raises:
        BackupRefusedError: somebody changed it who did not know the passphrase.
    """
    try:
        if box.open(seal, _FILE) == sums:
            return
    except SealBrokenError:
        pass
    raise BackupRefusedError(
        "This is no backup that can be restored: it was changed since by somebody who did not know its passphrase. "
        "Nothing was changed here."
    )


def check_sealed_rows(box: SecretBox, file: IO[bytes], found: Verified) -> None:
    """See that every secret in the rows of a file opens.

    Raises:
        BackupRefusedError: one does not.
    """
    try:
        for kept in KEPT:
            if kept.model in WITH_SECRETS:
                for row, _ in table_rows(file, found, kept):
                    resealed(kept, row, box, box)
    except SealBrokenError as error:
        raise BackupRefusedError(f"This is no backup that can be restored: {error}. Nothing was changed.") from error
