"""A key-value store in memory."""

import json
from collections.abc import Iterator, MutableMapping
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from pydantic import TypeAdapter, ValidationError

from nimbus_sdk.contracts.kv import KvEntry, KvKey, KvPage, KvPut, KvUsage
from nimbus_sdk.testing.refusals import Refused, invalid

_KEY: TypeAdapter[str] = TypeAdapter(KvKey)
MOST_PER_PAGE = 200


class FakeKv(MutableMapping[str, Any]):
    """The plugin's entries: a mapping from keys to values, without those that have expired.

    Attributes:
        keys_limit: how many entries the plugin may keep; lower it to test a full store.
        bytes_limit: the same for their size.
    """

    def __init__(self) -> None:
        self.keys_limit = 10_000
        self.bytes_limit = 10 * 1024 * 1024
        self._entries: dict[str, KvEntry] = {}
        self._versions = 0

    def expire(self, key: str) -> None:
        """Let the time of an entry pass."""
        self._entries[key] = self._entries[key].model_copy(update={"expires_at": datetime.now(UTC)})

    def answer(self, request: httpx.Request, key: str) -> httpx.Response:
        """Answer one call under `/kv`."""
        try:
            if not key:
                if request.method != "GET":
                    raise Refused(405, "method-not-allowed", f"{request.method} is not for this path.")
                return httpx.Response(200, json=self._page(request.url.params).wire())
            _KEY.validate_python(key)
            return self._one(request, key)
        except ValidationError as error:
            raise invalid(error) from error

    def usage(self) -> KvUsage:
        """Answer of `/kv-usage`."""
        return KvUsage(keys=len(self), keys_limit=self.keys_limit, bytes=self._size(), bytes_limit=self.bytes_limit)

    def _one(self, request: httpx.Request, key: str) -> httpx.Response:
        found = self._alive(key)
        match request.method:
            case "GET":
                if found is None:
                    raise Refused(404, "not-found", f"There is no entry {key!r}.")
                return _entry(found)
            case "PUT":
                self._guard(request, found)
                return _entry(self._store(key, KvPut.model_validate_json(request.content)))
            case "DELETE":
                self._guard(request, found)
                self._entries.pop(key, None)
                return httpx.Response(204)
        raise Refused(405, "method-not-allowed", f"{request.method} is not for this path.")

    def _guard(self, request: httpx.Request, found: KvEntry | None) -> None:
        wanted = request.headers.get("if-match")
        if wanted is not None and (found is None or wanted not in {"*", found.etag}):
            raise Refused(412, "precondition-failed", "The entry was changed meanwhile.")
        if request.headers.get("if-none-match") is not None and found is not None:
            raise Refused(412, "precondition-failed", "The entry is there already.")

    def _store(self, key: str, body: KvPut) -> KvEntry:
        before = self._entries.get(key)
        grown = _size(key, body.value) - (_size(key, before.value) if before else 0)
        if before is None and len(self) >= self.keys_limit:
            raise Refused(413, "quota-exceeded", f"The store holds at most {self.keys_limit} entries.")
        if grown > 0 and self._size() + grown > self.bytes_limit:
            raise Refused(413, "quota-exceeded", f"The store holds at most {self.bytes_limit} bytes.")
        self._versions += 1
        now = datetime.now(UTC)
        expires = now + timedelta(seconds=body.ttl) if body.ttl is not None else None
        self._entries[key] = KvEntry(
            key=key, value=body.value, etag=f'"{self._versions}"', updated_at=now, expires_at=expires
        )
        return self._entries[key]

    def _page(self, params: httpx.QueryParams) -> KvPage:
        limit = int(params.get("limit", "100"))
        if not 1 <= limit <= MOST_PER_PAGE:
            problem = {"path": "limit", "message": f"from 1 to {MOST_PER_PAGE}", "value": limit}
            raise Refused(422, "validation", "The limit does not fit.", errors=[problem])
        prefix, after = params.get("prefix", ""), params.get("cursor", "")
        found = [self._entries[key] for key in sorted(self) if key.startswith(prefix) and key > after]
        return KvPage(items=found[:limit], next=found[limit - 1].key if len(found) > limit else None)

    def _alive(self, key: str) -> KvEntry | None:
        found = self._entries.get(key)
        return None if found is None or (found.expires_at and found.expires_at <= datetime.now(UTC)) else found

    def _size(self) -> int:
        return sum(_size(key, value) for key, value in self.items())

    def __getitem__(self, key: str) -> Any:  # noqa: ANN401 - any JSON
        found = self._alive(key)
        if found is None:
            raise KeyError(key)
        return found.value

    def __setitem__(self, key: str, value: Any) -> None:  # noqa: ANN401
        _KEY.validate_python(key)
        self._store(key, KvPut(value=value))

    def __delitem__(self, key: str) -> None:
        del self._entries[key]

    def __iter__(self) -> Iterator[str]:
        return iter([key for key in self._entries if self._alive(key) is not None])

    def __len__(self) -> int:
        return sum(1 for _ in self)


def _size(key: str, value: Any) -> int:  # noqa: ANN401
    return len(key) + len(json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode())


def _entry(entry: KvEntry) -> httpx.Response:
    return httpx.Response(200, headers={"etag": entry.etag}, json={**entry.wire(), "value": entry.value})
