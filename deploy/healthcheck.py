"""The container's health check: exit code 0 if /livez of the server beside it answers 200. Python's library alone.

Where to ask is read from the variables that the server reads; flags that were given to it are not seen here. No proxy
that the environment names comes between.
"""

import os
import ssl
import sys
from collections.abc import Mapping
from http.client import HTTPConnection, HTTPException, HTTPSConnection

TIMEOUT_SECONDS = 2.5


def connection(environment: Mapping[str, str]) -> HTTPConnection:
    """A connection to where the probes are: the admin port, if there is one."""
    port = int(environment.get("FOCALPOINT_ADMIN_PORT") or environment.get("FOCALPOINT_PORT") or 8000)
    if environment.get("FOCALPOINT_TLS_CERTIFICATE"):
        # The certificate is made out to the name that clients use, not to 127.0.0.1.
        unverified = ssl._create_unverified_context()
        return HTTPSConnection("127.0.0.1", port, timeout=TIMEOUT_SECONDS, context=unverified)
    return HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_SECONDS)


def main() -> int:
    """Ask once; why it failed goes to standard error."""
    try:
        server = connection(os.environ)
        server.request("GET", "/livez")
        status = server.getresponse().status
    except (OSError, HTTPException, ValueError) as error:
        sys.stderr.write(f"/livez cannot be asked: {error}\n")
        return 1
    if status != 200:
        sys.stderr.write(f"/livez answers {status}\n")
    return int(status != 200)


if __name__ == "__main__":
    sys.exit(main())
