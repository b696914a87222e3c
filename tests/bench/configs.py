"""Configurations of the competitors, as text. Pure: no files, no processes.

Each takes `PREFIX` off the path, lets pass who shows the API key, keeps connections to the upstream open, and
writes no access log: the least that it could do, and so the hardest comparison.
"""

import json

PREFIX = "/api/plugins/bench"
KEY_HEADER = "X-Api-Key"
HEALTH = '{"status":"ok","version":"1.0.0","contract":[1],"checks":[]}'

_NGINX_COMMON = """
daemon off;
master_process off;
worker_processes 1;
pid {folder}/nginx-{name}.pid;
error_log {folder}/nginx-{name}.error.log warn;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    sendfile on;
    tcp_nopush on;
    keepalive_timeout 1h;
    keepalive_requests 1000000000;
    default_type application/json;
    client_body_temp_path {folder}/nginx-{name}-body;
    proxy_temp_path {folder}/nginx-{name}-proxy;
    fastcgi_temp_path {folder}/nginx-{name}-fastcgi;
    uwsgi_temp_path {folder}/nginx-{name}-uwsgi;
    scgi_temp_path {folder}/nginx-{name}-scgi;
"""


def nginx_upstream(folder: str, listen: str, files: str) -> str:
    """nginx as the plugin: files from memory, and a health answer as the platform asks for it."""
    return (
        _NGINX_COMMON.format(folder=folder, name="upstream")
        + f"""
    open_file_cache max=100;
    server {{
        listen {listen} backlog=4096;
        root {files};
        location = /_nimbus/health {{ return 200 '{HEALTH}'; }}
    }}
}}
"""
    )


def nginx_proxy(folder: str, listen: str, upstreams: dict[str, str], key: str) -> str:
    """nginx as a proxy with buffering as it comes. `upstreams` maps a plugin's id to its address."""
    blocks = "".join(
        f"""
    upstream up-{plugin} {{
        server {target};
        keepalive 512;
        keepalive_requests 1000000000;
        keepalive_timeout 1h;
    }}"""
        for plugin, target in upstreams.items()
    )
    locations = "".join(
        f"""
        location /api/plugins/{plugin}/ {{
            if ($allowed = 0) {{ return 401; }}
            client_max_body_size 0;
            proxy_http_version 1.1;
            proxy_set_header Connection $connection_upgrade;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Host $host;
            proxy_set_header {KEY_HEADER} "";
            proxy_set_header X-Forwarded-For $remote_addr;
            proxy_pass http://up-{plugin}/;
        }}"""
        for plugin in upstreams
    )
    return (
        _NGINX_COMMON.format(folder=folder, name="proxy")
        + f"""
    map_hash_bucket_size 256;
    map $http_x_api_key $allowed {{ default 0; "{key}" 1; }}
    map $http_upgrade $connection_upgrade {{ default upgrade; "" ""; }}
{blocks}
    server {{
        listen {listen} backlog=4096;
{locations}
    }}
}}
"""
    )


def haproxy(port: int, upstream: int, key: str) -> str:
    """HAProxy with one thread."""
    return f"""
global
    nbthread 1
    maxconn 4096
defaults
    mode http
    timeout connect 5s
    timeout client 1h
    timeout server 1h
    timeout http-keep-alive 1h
    http-reuse always
frontend in
    bind 127.0.0.1:{port}
    http-request deny deny_status 401 unless {{ req.hdr({KEY_HEADER}) -m str {key} }}
    http-request del-header {KEY_HEADER}
    http-request set-header X-Forwarded-For %[src]
    http-request replace-path {PREFIX}(/.*) \\1
    default_backend plugin
backend plugin
    server plugin 127.0.0.1:{upstream}
"""


def caddy(port: int, upstream: int, key: str) -> str:
    """Caddy without its admin endpoint and without TLS."""
    return f"""
{{
    admin off
    auto_https off
}}
http://127.0.0.1:{port} {{
    @stranger not header {KEY_HEADER} {key}
    route {{
        respond @stranger 401
        uri strip_prefix {PREFIX}
        reverse_proxy 127.0.0.1:{upstream} {{
            header_up -{KEY_HEADER}
            transport http {{
                keepalive_idle_conns_per_host 512
            }}
        }}
    }}
}}
"""


def envoy(port: int, upstream: int, key: str) -> str:
    """Envoy with its usual HTTP filters, as JSON (which is YAML)."""
    types = "type.googleapis.com/envoy.extensions.filters"
    known = {"name": KEY_HEADER.lower(), "string_match": {"exact": key}}
    routes = [
        {
            "match": {"prefix": f"{PREFIX}/", "headers": [known]},
            "route": {"cluster": "plugin", "prefix_rewrite": "/", "timeout": "0s"},
            "request_headers_to_remove": [KEY_HEADER.lower()],
        },
        {"match": {"prefix": "/"}, "direct_response": {"status": 401}},
    ]
    manager = {
        "@type": f"{types}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "in",
        "codec_type": "HTTP1",
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": routes}]},
        "http_filters": [
            {"name": "envoy.filters.http.router", "typed_config": {"@type": f"{types}.http.router.v3.Router"}}
        ],
    }
    chain = {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}
    cluster = {
        "name": "plugin",
        "type": "STATIC",
        "connect_timeout": "5s",
        "load_assignment": {
            "cluster_name": "plugin",
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": _address(upstream)}}]}],
        },
    }
    listener = {"name": "in", "address": _address(port), "filter_chains": [chain]}
    return json.dumps({"static_resources": {"listeners": [listener], "clusters": [cluster]}}, indent=1)


def _address(port: int) -> dict[str, object]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}
