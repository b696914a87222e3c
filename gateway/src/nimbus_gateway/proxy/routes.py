"""The route table: a snapshot compiled into tries, once per change, so that a request costs a few dict look-ups.

Nothing here does I/O. A compiled table is never changed; a new snapshot replaces it whole.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from nimbus_sdk.contracts.manifest import Manifest, Route
from nimbus_sdk.contracts.routes import RESERVED_PREFIX, RESERVED_SEGMENTS
from nimbus_sdk.contracts.snapshot import Snapshot, SnapshotPlugin, Upstream
from nimbus_sdk.contracts.units import parse_duration, parse_size

Address = tuple[str, int]

PREFIX_SEGMENTS = 3
"""``/api/plugins/{id}``."""


def is_plugin_route(segments: Sequence[str]) -> bool:
    """Whether a path is a plugin's own, and not one of the platform's calls about the plugin."""
    if len(segments) <= PREFIX_SEGMENTS or tuple(segments[:2]) != ("api", "plugins"):
        return False
    rest = segments[PREFIX_SEGMENTS:]
    return not (len(rest) == 1 and rest[0] in RESERVED_SEGMENTS)


@dataclass(frozen=True, slots=True)
class CompiledRoute:
    """One declared route with its limits worked out.

    Attributes:
        template: the route's path as declared; the label of metrics and logs.
        auth: ``none``, ``session`` or ``apikey``.
        admin: only administrators may call it.
        scopes: what an API key must hold, all of them.
        response_timeout: seconds from the request to the response's head; None is no limit.
        idle_timeout: seconds between two chunks of a body; None is no limit.
        max_body: bytes of a request's body.
    """

    template: str
    auth: str
    admin: bool
    scopes: frozenset[str]
    response_timeout: float | None
    idle_timeout: float | None
    max_body: int


@dataclass(slots=True)
class _Node:
    literals: dict[str, "_Node"] = field(default_factory=dict)
    param: "_Node | None" = None
    methods: dict[str, CompiledRoute] = field(default_factory=dict)
    rest: dict[str, CompiledRoute] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CompiledPlugin:
    """A plugin as the proxy sees it.

    Attributes:
        source: its entry in the snapshot.
        prefix: where it appears, such as ``/api/plugins/hello``; empty at the root of a port.
        address: host and port while it serves requests, else None.
        compat: the same plugin as it appears at a compatibility port: at the root, with its tagged routes only.
    """

    source: SnapshotPlugin
    id: str
    prefix: str
    address: Address | None
    trusted: bool
    root: _Node
    compat: "CompiledPlugin | None" = None

    @property
    def on_demand(self) -> bool:
        """Whether it sleeps until it is asked for."""
        manifest = self.source.detail.manifest
        return manifest is not None and manifest.activation == "on-demand"

    def match(self, segments: Sequence[str], method: str) -> CompiledRoute | frozenset[str] | None:
        """The route that takes a request.

        Args:
            segments: the path under the prefix, split and decoded once; ``[""]`` is the root, a last empty
                segment is a trailing slash.
            method: in capitals. HEAD is taken by a route for GET.

        Returns:
            The route; or the methods that the path has routes for; or None when it has none at all.
        """
        if not segments or segments[0].casefold() == RESERVED_PREFIX:
            return None
        allowed: set[str] = set()
        found = _match(self.root, segments, 0, method, allowed)
        if found is not None:
            return found
        return frozenset(allowed) or None


def _pick(routes: Mapping[str, CompiledRoute], method: str, allowed: set[str]) -> CompiledRoute | None:
    found = routes.get(method) or routes.get("*")
    if found is None and method == "HEAD":
        found = routes.get("GET")
    if found is None:
        allowed.update(routes)
        if "GET" in routes:
            allowed.add("HEAD")
    return found


def _match(
    node: _Node, segments: Sequence[str], position: int, method: str, allowed: set[str]
) -> CompiledRoute | None:
    if position == len(segments):
        return _pick(node.methods, method, allowed) if node.methods else None
    segment = segments[position]
    child = node.literals.get(segment)
    if child is not None:
        found = _match(child, segments, position + 1, method, allowed)
        if found is not None:
            return found
    if node.param is not None and segment:
        found = _match(node.param, segments, position + 1, method, allowed)
        if found is not None:
            return found
    if node.rest and (segment or position < len(segments) - 1):
        return _pick(node.rest, method, allowed)
    return None


def _seconds(text: str) -> float | None:
    return parse_duration(text) or None


def compile_route(route: Route, manifest: Manifest) -> CompiledRoute:
    """A route with the manifest's limits where it sets none of its own."""
    timeouts = manifest.runtime.timeouts
    return CompiledRoute(
        template=route.path,
        auth=route.auth,
        admin=route.role == "admin",
        scopes=frozenset(route.scopes),
        response_timeout=_seconds(timeouts.response if route.timeout is None else route.timeout),
        idle_timeout=_seconds(timeouts.idle if route.timeout is None else route.timeout),
        max_body=parse_size(manifest.runtime.max_body if route.max_body is None else route.max_body),
    )


def _trie(manifest: Manifest | None, *, tagged: bool = False) -> _Node:
    root = _Node()
    for route in manifest.routes if manifest is not None else ():
        if tagged and route.tag is None:
            continue
        compiled = compile_route(route, manifest)  # type: ignore[arg-type]  # the loop is empty without a manifest
        node, table = root, root.methods
        for segment in route.path[1:].split("/"):
            if segment.startswith("{") and segment.endswith(":path}"):
                table = node.rest
                break
            if segment.startswith("{"):
                node.param = node.param or _Node()
                node = node.param
            else:
                node = node.literals.setdefault(segment, _Node())
            table = node.methods
        for method in route.methods:
            table.setdefault(method, compiled)
    return root


def _address(upstream: Upstream | None) -> Address | None:
    return None if upstream is None else (upstream.host, upstream.port)


def compile_plugin(plugin: SnapshotPlugin) -> CompiledPlugin:
    """Compile one plugin of a snapshot."""
    compiled = CompiledPlugin(
        source=plugin,
        id=plugin.detail.id,
        prefix=f"/api/plugins/{plugin.detail.id}",
        address=_address(plugin.upstream),
        trusted=plugin.detail.trusted,
        root=_trie(plugin.detail.manifest),
    )
    if not has_compat_routes(plugin.detail.manifest):
        return compiled
    at_root = replace(compiled, prefix="", root=_trie(plugin.detail.manifest, tagged=True))
    return replace(compiled, compat=at_root)


def has_compat_routes(manifest: Manifest | None) -> bool:
    """Whether a compatibility port can be mapped to a plugin."""
    return manifest is not None and any(route.tag is not None for route in manifest.routes)


@dataclass(frozen=True, slots=True)
class CompiledSnapshot:
    """A snapshot with its look-up tables.

    Attributes:
        snapshot: as the registry sent it.
        plugins: entries by id.
        token_index: plugin id by SHA-256 (hex) of its token.
        routes: compiled plugins by id.
    """

    snapshot: Snapshot
    plugins: Mapping[str, SnapshotPlugin]
    token_index: Mapping[str, str]
    routes: Mapping[str, CompiledPlugin]

    @property
    def generation(self) -> int:
        """The snapshot's generation."""
        return self.snapshot.generation


def compile_snapshot(snapshot: Snapshot, previous: CompiledSnapshot | None = None) -> CompiledSnapshot:
    """Compile a snapshot; plugins that did not change since `previous` are taken over as they are."""
    known = previous.routes if previous is not None else {}
    routes: dict[str, CompiledPlugin] = {}
    for plugin in snapshot.plugins:
        old = known.get(plugin.detail.id)
        routes[plugin.detail.id] = old if old is not None and old.source == plugin else compile_plugin(plugin)
    return CompiledSnapshot(
        snapshot=snapshot,
        plugins={plugin.detail.id: plugin for plugin in snapshot.plugins},
        token_index={
            token: plugin.detail.id
            for plugin in snapshot.plugins
            for token in (plugin.token_sha256, *plugin.other_token_sha256)
            if token
        },
        routes=routes,
    )


EMPTY = compile_snapshot(Snapshot(generation=0, instance=""))
"""What is served before the first snapshot has come."""
