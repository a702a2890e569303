"""Connections to a registry, and what their failures mean."""

from __future__ import annotations

import ipaddress
import re
import ssl
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

import urllib3
from urllib3.exceptions import NewConnectionError, ProtocolError, SSLError

from registry_tool.errors import StoreProblem
from registry_tool.oci.registry_retries import Broken

CERTIFICATES = Path("/etc/docker/certs.d")
_CONNECTIONS = 32
_PLAIN_HTTP = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST")


def open_pool(host: str, base: str, docker: Path) -> urllib3.PoolManager:
    """Connections to a registry, through the proxy that the environment names, if any.

    `docker` is the directory of the Docker configuration.
    """
    scheme = urlsplit(base).scheme
    context = _tls(host, docker) if scheme == "https" else None
    proxy = urllib.request.getproxies().get(scheme)
    if proxy and not _is_here(base) and not urllib.request.proxy_bypass(host):
        return urllib3.ProxyManager(proxy, maxsize=_CONNECTIONS, ssl_context=context)
    return urllib3.PoolManager(maxsize=_CONNECTIONS, ssl_context=context)


def _is_here(base: str) -> bool:
    """Whether it is this machine, which no proxy reaches (as Docker sees it, too)."""
    name = urlsplit(base).hostname or ""
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == "localhost"


def _tls(host: str, docker: Path) -> ssl.SSLContext:
    """The system's authorities, and those that Docker knows for this registry."""
    context = ssl.create_default_context()
    for folder in (CERTIFICATES / host, docker / "certs.d" / host):
        for file in sorted(folder.glob("*.crt")):
            try:
                context.load_verify_locations(file)
            except OSError as problem:
                raise StoreProblem(
                    f"the certificate {file} for the registry {host} cannot be used: {problem}",
                    code="RT608",
                    help="replace it, or remove it",
                ) from problem
    return context


def failure(problem: Exception, host: str, what: str) -> Broken | StoreProblem:
    """What it means that a request got no answer; `what` completes "cannot …"."""
    if isinstance(problem, SSLError):
        return _untrusted(problem, host, what)
    if isinstance(problem, ProtocolError):
        return Broken(_broken_off(problem, host, what))
    words = str(problem.args[0] if problem.args else problem) or type(problem).__name__
    if isinstance(problem, NewConnectionError):
        words = re.sub(r"\[Errno -?[0-9]+\] ", "", words.rpartition(": ")[2])
    return Broken(_unreachable(words, host, what))


def _broken_off(problem: ProtocolError, host: str, what: str) -> StoreProblem:
    cause = problem.args[-1] if problem.args else problem
    words = (cause.strerror if isinstance(cause, OSError) else "") or str(cause)
    return StoreProblem(
        f"the connection to the registry {host} broke off: {words}; cannot {what}",
        code="RT608",
        help="look at its log and at what is in between: proxies limit the size and the time of a request",
        transient=True,
    )


def _unreachable(why: str, host: str, what: str) -> StoreProblem:
    return StoreProblem(
        f"the registry {host} cannot be reached: {why}; cannot {what}",
        code="RT608",
        help="start it, or correct spec.images.repository of the Registry",
        transient=True,
    )


def _untrusted(problem: SSLError, host: str, what: str) -> Broken | StoreProblem:
    words = str(problem)
    if any(sign in words.upper().replace(" ", "_") for sign in _PLAIN_HTTP):
        return StoreProblem(
            f"the registry {host} speaks plain HTTP, not HTTPS; cannot {what}",
            code="RT608",
            help="give it a certificate, or where the network is trusted set"
            " spec.images.insecure: true in the Registry manifest",
        )
    if "CERTIFICATE" in words.upper():
        return StoreProblem(
            f"the certificate of the registry {host} is not trusted: {words[:300]}",
            code="RT608",
            help=f"put its authority's certificate into {CERTIFICATES / host}/ca.crt, or into the"
            " system's, or point SSL_CERT_FILE to it",
        )
    return Broken(_unreachable(f"TLS failed ({words[:200]})", host, what))
