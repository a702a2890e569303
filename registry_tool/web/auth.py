"""Who may read: the middleware that asks for a key, and the form that takes one for the pages."""

from __future__ import annotations

from typing import Annotated, Literal
from urllib.parse import parse_qs, quote

from fastapi import APIRouter, HTTPException, Query, Request
from fastapi.responses import RedirectResponse, Response
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from registry_tool.catalog.queries import KeyRecord
from registry_tool.web.credentials import (
    SESSION_COOKIE,
    SESSION_LIFE,
    Keys,
    Sessions,
    Shown,
    shown_by,
)
from registry_tool.web.failures import Failures
from registry_tool.web.paths import is_for_programs, is_registry_protocol, route_path
from registry_tool.web.problems import problem_response
from registry_tool.web.serving import NOTHING_YET, Serving

_OPEN = {"/health", "/login", "/logout", "/favicon.ico"}
_OPEN_FOLDER = "/static/"
_FORM_LIMIT = 8192
_MISSING = "Missing API key"
_INVALID = "Invalid API key"


class Gate:
    """Decides who may read, by the keys of the served tip."""

    def __init__(self, serving: Serving) -> None:
        self._serving = serving
        self._sessions = Sessions(serving.context.session_secret)
        self._failures = Failures()

    @property
    def state(self) -> Literal["open", "closed", "unknown"]:
        """Whether a key is needed; not known before the first revision is served."""
        tip = self._serving.tip
        if tip is None:
            return "unknown"
        return "closed" if tip.registry.web.require_api_key else "open"

    def not_ready(self, request: Request) -> Response:
        """The answer while nothing is served."""
        detail = self._serving.problem or NOTHING_YET
        return problem_response(request, 503, detail, {"Retry-After": "2"})

    def holder(self, shown: Shown) -> KeyRecord | None:
        """Whose credentials these are, when they are good."""
        now, keys = self._serving.context.clock(), self._keys
        if shown.key is not None:
            return keys.holder(shown.key, now)
        return self._sessions.holder(shown.session or "", keys, now)

    def session_of(self, key: KeyRecord) -> str:
        """A new session's cookie."""
        return self._sessions.issue(key, self._serving.context.clock())

    def refused(self, client: str) -> int:
        """Note a wrong key; the seconds to wait when there were too many, or 0."""
        now = self._serving.context.clock()
        wait = self._failures.blocked_for(client, now)
        self._failures.note(client, now)
        return wait

    @property
    def _keys(self) -> Keys:
        tip = self._serving.tip
        return tip.keys if tip else Keys(lambda _key_id: None)


class Authentication:
    """ASGI middleware: lets requests with a good key pass, where the registry asks for keys."""

    def __init__(self, app: ASGIApp, gate: Gate) -> None:
        self.app = app
        self.gate = gate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        refusal = self._refusal(scope)
        await (refusal or self.app)(scope, receive, send)

    def _refusal(self, scope: Scope) -> Response | None:
        state = self.gate.state
        path = route_path(scope)
        if state == "open" or path in _OPEN or path.startswith(_OPEN_FOLDER):
            return None
        if state == "unknown":
            return self.gate.not_ready(Request(scope))
        shown = shown_by(Headers(scope=scope))
        if shown is None:
            return _challenge(Request(scope), _MISSING)
        holder = self.gate.holder(shown)
        if holder is not None:
            scope["registry_tool.api_key"] = holder
            return None
        if shown.key is None:
            # A session that ended is no attempt at guessing.
            return _challenge(Request(scope), _MISSING)
        return _wrong_key(Request(scope), self.gate)


def _wrong_key(request: Request, gate: Gate) -> Response:
    wait = gate.refused(_client(request))
    if wait:
        return problem_response(
            request,
            429,
            f"Too many invalid API keys; try again in {wait} seconds",
            {"Retry-After": str(wait)},
        )
    return _challenge(request, _INVALID)


def _client(request: Request) -> str:
    return request.client.host if request.client else ""


def _challenge(request: Request, detail: str) -> Response:
    if is_registry_protocol(request.scope):
        return problem_response(
            request, 401, detail, {"WWW-Authenticate": 'Basic realm="registry-tool"'}
        )
    if is_for_programs(request.scope):
        return problem_response(
            request, 401, detail, {"WWW-Authenticate": 'ApiKey realm="registry-tool"'}
        )
    root = _root(request)
    here = quote(root + route_path(request.scope))
    here += f"?{request.url.query}" if request.url.query else ""
    login = f"{root}/login?next={quote(here)}"
    if "hx-request" in request.headers:
        # htmx would put a page that it is redirected to into a part of this one.
        return Response(status_code=401, headers={"HX-Redirect": login})
    return RedirectResponse(login, 303)


# --- The form ---

router = APIRouter(include_in_schema=False)


@router.get("/login")
def login_form(request: Request, following: Annotated[str, Query(alias="next")] = "/") -> Response:
    """The form that takes a key; where none is needed, the page that was wanted."""
    from registry_tool.web.pages.login import login_page

    gate: Gate = request.app.state.gate
    if gate.state == "open":
        return RedirectResponse(_own_path(following), 303)
    return login_page(request, following=_own_path(following))


@router.post("/login")
async def login(request: Request) -> Response:
    """Take a key from the form and begin a session."""
    from registry_tool.web.pages.login import login_page

    _require_own_page(request)
    fields = await _form(request)
    following = _own_path(fields.get("next", "/"))
    gate: Gate = request.app.state.gate
    key = gate.holder(Shown(key=fields.get("key", "").strip()))
    if key is None:
        wait = gate.refused(_client(request))
        problem = f"Too many invalid API keys; try again in {wait} seconds" if wait else _INVALID
        response = login_page(
            request, following=following, problem=problem, status=429 if wait else 401
        )
        if wait:
            response.headers["Retry-After"] = str(wait)
        return response
    response = RedirectResponse(following, 303)
    response.set_cookie(
        SESSION_COOKIE,
        gate.session_of(key),
        max_age=int(SESSION_LIFE.total_seconds()),
        path=_cookie_path(request),
        secure=request.url.scheme == "https",
        httponly=True,
        samesite="lax",
    )
    return response


@router.post("/logout")
def logout(request: Request) -> Response:
    """End the session in this browser."""
    _require_own_page(request)
    response = RedirectResponse(f"{_root(request)}/login", 303)
    response.delete_cookie(
        SESSION_COOKIE, path=_cookie_path(request), httponly=True, samesite="lax"
    )
    return response


def _root(request: Request) -> str:
    root: str = request.scope.get("root_path", "")
    return root


def _cookie_path(request: Request) -> str:
    return _root(request) or "/"


def _own_path(text: str) -> str:
    """A path on this server, so that nobody is sent elsewhere after logging in."""
    if text.startswith("/") and text[1:2] not in {"/", "\\"} and text.isprintable():
        return text
    return "/"


def _require_own_page(request: Request) -> None:
    """Refuse forms on pages of other sites; browsers say where a form was."""
    if request.headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"}:
        raise HTTPException(403, "this form belongs to another site")


async def _form(request: Request) -> dict[str, str]:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _FORM_LIMIT:
            raise HTTPException(413, "the form is too large")
    try:
        fields = parse_qs(body.decode("utf-8", "replace"), max_num_fields=20)
    except ValueError as problem:
        raise HTTPException(422, "the form has too many fields") from problem
    return {name: values[-1] for name, values in fields.items()}
