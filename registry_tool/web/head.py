"""HEAD for every route that answers GET."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from registry_tool.web.paths import is_registry_protocol, route_path

HEAD_ONLY = "registry_tool.head"
"""Set in the scope, so that a route need not make a body that is costly."""


class HeadAsGet:
    """ASGI middleware: asks for the whole response and sends its head."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "HEAD" or _is_own(scope):
            await self.app(scope, receive, send)
            return

        async def send_head(message: Message) -> None:
            if message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await send(message)

        await self.app({**scope, "method": "GET", HEAD_ONLY: True}, receive, send_head)


def _is_own(scope: Scope) -> bool:
    # OCI clients are answered by the routes themselves; an event stream would never end.
    return is_registry_protocol(scope) or route_path(scope).endswith("/events")
