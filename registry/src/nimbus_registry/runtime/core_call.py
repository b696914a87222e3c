"""One call of the core, from wherever this file runs: by the process runtime in place, by docker in a helper.

It imports nothing of Nimbus: docker hands the text of this file to a Python that has no more than its standard
library. Prints one JSON object: `ok`, `hop`, `detail`.
"""

import json
import socket
import sys
import urllib.error
import urllib.request
from urllib.parse import urlsplit

TIMEOUT = 3.0
PATH = "/core/v1/keys"
"""Open to every plugin, so that the call needs no token."""


def call_core(base_url: str) -> dict[str, object]:
    """Look the name up, connect, and ask for the public keys; says which of the three fails first."""
    parts = urlsplit(base_url)
    host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    try:
        addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        return {"ok": False, "hop": "dns", "detail": f"the name {host} is not known ({error.strerror or error})"}
    address = str(addresses[0][4][0])
    try:
        socket.create_connection((address, port), timeout=TIMEOUT).close()
    except OSError as error:
        return {"ok": False, "hop": "connect", "detail": f"{address}:{port}: {error.strerror or error}"}
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(base_url.rstrip("/") + PATH, timeout=TIMEOUT) as answer:
            answer.read(65536)
    except urllib.error.HTTPError as error:
        with error:
            return {"ok": False, "hop": "http", "detail": f"GET {PATH} answered {error.code}"}
    except (OSError, ValueError) as error:
        return {"ok": False, "hop": "http", "detail": f"GET {PATH}: {error}"}
    return {"ok": True, "hop": "http", "detail": None}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(call_core(sys.argv[1])))
