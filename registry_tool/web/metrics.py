"""Counting requests for Prometheus, where the extra `metrics` is installed."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from registry_tool.web.paths import route_template
from registry_tool.web.serving import Serving

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client.metrics_core import Metric

router = APIRouter(tags=["system"])
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
_EXAMPLE = 'registry_tool_http_requests_total{method="GET",route="/health",status="200"} 42.0\n'


class Metrics:
    """What is measured in this process; workers that serve together add up what they count."""

    def __init__(self, serving: Serving) -> None:
        """Raises ImportError without the extra."""
        from prometheus_client import CollectorRegistry, Counter, Histogram

        own = CollectorRegistry()
        self.requests = Counter(
            "registry_tool_http_requests",
            "Requests by route and status.",
            ("method", "route", "status"),
            registry=own,
        )
        self.seconds = Histogram(
            "registry_tool_http_request_seconds",
            "Seconds until the response began.",
            ("route",),
            registry=own,
            buckets=_BUCKETS,
        )
        self._own = own
        self._served = _Served(serving)

    def text(self) -> bytes:
        """The exposition."""
        from prometheus_client import CollectorRegistry, generate_latest

        registry = self._own
        if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
            from prometheus_client.multiprocess import MultiProcessCollector

            registry = CollectorRegistry()
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        shown = CollectorRegistry()
        shown.register(self._served)
        return generate_latest(registry) + generate_latest(shown)


class _Served:
    """What is served, asked at the time of the scrape."""

    def __init__(self, serving: Serving) -> None:
        self._serving = serving

    def collect(self) -> Iterator[Metric]:
        from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily

        tip = self._serving.tip
        shown = {
            "version": self._serving.context.version,
            "revision": str(tip.pair.revision) if tip else "",
            "records": (tip.pair.records or "") if tip else "",
        }
        yield InfoMetricFamily("registry_tool_served", "What is served.", value=shown)
        stale = GaugeMetricFamily(
            "registry_tool_serving_problem", "1 while the newest revision cannot be served."
        )
        stale.add_metric([], 1.0 if self._serving.problem else 0.0)
        yield stale
        if tip is None:
            return
        items = GaugeMetricFamily("registry_tool_items", "Items by kind.", labels=["kind"])
        with self._serving.open() as view:
            for kind, count in view.catalog.about().counts.items():
                items.add_metric([kind], count)
        yield items


class Measuring:
    """ASGI middleware: counts requests by the route that answered, never by their path."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app = app
        self.metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began = time.perf_counter()

        async def measure(message: Message) -> None:
            if message["type"] == "http.response.start":
                route = route_template(scope)
                self.metrics.requests.labels(scope["method"], route, message["status"]).inc()
                self.metrics.seconds.labels(route).observe(time.perf_counter() - began)
            await send(message)

        await self.app(scope, receive, measure)


@router.get(
    "/metrics",
    responses={
        200: {
            "description": "The exposition format of Prometheus",
            "content": {"text/plain": {"schema": {"type": "string"}, "example": _EXAMPLE}},
        },
        404: {"description": "The extra `metrics` is not installed"},
    },
    response_class=PlainTextResponse,
)
def metrics(request: Request) -> Response:
    """Show what was counted and measured."""
    found: Metrics | None = request.app.state.metrics
    if found is None:
        raise HTTPException(
            404, "metrics need the extra: pip install 'registry-tool[metrics]', then restart"
        )
    from prometheus_client import CONTENT_TYPE_LATEST

    return Response(found.text(), headers={"Content-Type": CONTENT_TYPE_LATEST})
