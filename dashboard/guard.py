"""Who may read the page: only whoever asks for this server by its name. Serves nothing itself.

A page of somebody else's may have its own name resolve to our address (DNS rebinding), and would
then read ours as its own. It cannot choose the Host header, which is still that name.
"""

import ipaddress
import socket
from collections.abc import Mapping

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# Scripts and styles are files of ours, nothing is inline, nobody may put the page into a frame.
HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
READING = {"GET", "HEAD"}
_OURS = {"same-origin", "none", ""}  # What the browser says about who asks; old ones say nothing.


def own_names(listen_host: str) -> frozenset[str]:
    """Return the host names by which this server may be asked for; numbers always may be.

    A number cannot be made to mean another machine, so rebinding needs a name.
    """
    names = {"localhost", listen_host, socket.gethostname()}
    return frozenset(name.lower() for name in names)


class Guard:
    """Wraps the site: checks who asks, and adds the headers to each answer."""

    def __init__(self, app: ASGIApp, names: frozenset[str]) -> None:
        self._app = app
        self._names = names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        refusal = self._refusal(scope)
        await (refusal or self._app)(scope, receive, send_guarded)

    def _refusal(self, scope: Scope) -> PlainTextResponse | None:
        headers = Headers(scope=scope)
        if not self._is_own(headers.get("host", "")):
            return PlainTextResponse("this server has another name\n", 421)
        if scope["method"] not in READING:
            return PlainTextResponse("this page only shows\n", 405, {"Allow": "GET, HEAD"})
        is_elsewhere = headers.get("sec-fetch-site", "") not in _OURS
        if is_elsewhere and headers.get("sec-fetch-mode") != "navigate":
            return PlainTextResponse("only for pages of this server\n", 403)
        return None

    def _is_own(self, host: str) -> bool:
        name = host.rsplit(":", 1)[0] if not host.endswith("]") else host
        name = name.strip("[]").lower()
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return name in self._names
        return True
