"""What plugins ask for, what people granted, and the risk that goes with it."""

from collections.abc import Iterable
from dataclasses import dataclass

from nimbus_sdk.contracts.install import PluginPermissions
from nimbus_sdk.contracts.jsontext import pointer
from nimbus_sdk.contracts.manifest import Manifest
from nimbus_sdk.contracts.problem import FieldProblem

from nimbus_registry.catalog.risk import Facts, describe, rate
from nimbus_registry.database import utcnow
from nimbus_registry.errors import InvalidRequestError, PluginInvalidError
from nimbus_registry.store.ledger import Ledger
from nimbus_registry.store.record import PluginRecord


@dataclass(frozen=True, slots=True)
class Permissions:
    """Decisions about permissions. `isolated` is whether plugins run in containers of their own."""

    ledger: Ledger
    isolated: bool

    def of(self, record: PluginRecord, manifest: Manifest | None = None, pin: str | None = None) -> PluginPermissions:
        """What a plugin asks for, or would with another manifest.

        Raises:
            PluginInvalidError: its manifest has errors, so it asks for nothing that can be read.
        """
        shown = manifest or record.manifest
        if shown is None:
            raise PluginInvalidError(self.ledger.detail(record))
        decided = record.installation
        facts = Facts(
            manifest=shown,
            asked=frozenset(shown.permissions),
            trusted=self.ledger.trusted(record),
            isolated=self.isolated,
            pinned=(pin or decided.pin or "").startswith("sha256:") or "@sha256:" in (pin or decided.pin or ""),
        )
        return PluginPermissions(
            plugin_id=record.id,
            version=shown.version,
            requested=describe(shown, decided.grants or []),
            decided=decided.grants is not None,
            decided_by=decided.decided_by,
            decided_at=decided.decided_at,
            risk=rate(facts),
        )

    def decide(self, record: PluginRecord, grant: Iterable[str], *, by: str) -> None:
        """Note what a person lets a plugin do; the caller says that the record changed."""
        decided = record.installation
        decided.grants, decided.decided_by, decided.decided_at = list(dict.fromkeys(grant)), by, utcnow()

    async def update(self, plugin_id: str, grant: list[str], *, by: str) -> PluginPermissions:
        """Replace what a plugin may do, durably. A running plugin gets and loses it with the next snapshot.

        Raises:
            PluginNotFoundError, PluginInvalidError: as for `of`.
            InvalidRequestError: it does not ask for one of them.
            DatabaseUnavailableError: it is not durable yet.
        """
        record = self.ledger.get(plugin_id)
        if record.manifest is None:
            raise PluginInvalidError(self.ledger.detail(record))
        check_asked(record.manifest, grant)
        self.decide(record, grant, by=by)
        await self.ledger.store(record)
        return self.of(record)


def check_asked(manifest: Manifest, grant: Iterable[str]) -> None:
    """Refuse to grant what a manifest does not ask for: it is a misspelling, or a surprise later.

    Raises:
        InvalidRequestError: naming each.
    """
    asked = ", ".join(manifest.permissions) or "none"
    wrong = [
        FieldProblem(path=pointer("grant", position), message=f"a permission that it asks for: {asked}", value=name)
        for position, name in enumerate(grant)
        if name not in manifest.permissions
    ]
    if wrong:
        raise InvalidRequestError(*wrong)
