"""A real scrape of the whole chain: valid, documented, and all that alerts and dashboard name."""

import re
import time
from collections.abc import Callable

import httpx

from tests.e2e.conftest import Deployment
from tests.support.monitoring import alerts, documented, expressions, families_in
from tests.support.promtool import promtool
from tests.support.santa_client import SimulatedMac
from tests.support.scrape import series_in, types_in

OPEN_METRICS = "application/openmetrics-text; version=1.0.0"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
BUCKET = "santa_proxy_request_duration_seconds_bucket"
LAST_FIGURE = "santa_backend_audit_checkpoint_timestamp_seconds"
"""The one that is missing until the first checkpoint is made, soon after the start."""
FIGURES = 60.0
"""Seconds that they may take."""
ADDED = {"address", "le"}
"""The label that santa-proxy adds to those of the backend, and the one of each histogram."""


def scraped(deployment: Deployment, accept: str = "text/plain") -> str:
    """Return a scrape with the figures of the fleet, which are read when the first one asks for them."""
    until = time.monotonic() + FIGURES
    while True:
        response = httpx.get(f"{deployment.admin_listener}/metrics", headers={"Accept": accept})
        assert response.status_code == httpx.codes.OK
        assert response.headers["content-type"].startswith(accept)
        if f"\n{LAST_FIGURE}{{" in response.text:
            return response.text
        assert time.monotonic() < until, "the figures of the fleet are missing"
        time.sleep(0.05)


def test_a_scrape_is_what_the_page_of_metrics_says(deployment: Deployment) -> None:
    text = scraped(deployment)
    checked = promtool("check", "metrics", text=text)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    page = documented()
    assert types_in(text) == {name: kind for name, (kind, *_) in page.items()}
    meanings = dict(re.findall(r"^# HELP (\w+) (.+)$", text, re.MULTILINE))
    assert meanings == {name: meaning for name, (_, _, meaning) in page.items()}
    for series in series_in(text):
        name, _, labels = series.partition("{")
        family = next(iter(families_in(name, {one for one in page if page[one][0] == "histogram"})))
        written = set(re.findall(r'(\w+)="', labels)) - (ADDED if "_backend_" in name else {"le"})
        assert written == set(re.findall(r"`(\w+)`", page[family][1])), series


def test_alerts_and_dashboard_name_what_is_scraped(
    deployment: Deployment, mac: Callable[..., SimulatedMac]
) -> None:
    mac().sync()
    present = {series.partition("{")[0] for series in series_in(scraped(deployment))}
    for expression in [rule["expr"] for rule in alerts()] + expressions():
        missing = families_in(expression, set()) - present
        assert not missing, f"{missing} in {expression}"


def test_open_metrics_has_exemplars_of_traced_requests(deployment: Deployment) -> None:
    traced = {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}
    assert httpx.get(deployment.url, headers=traced).status_code == httpx.codes.OK
    text = scraped(deployment, OPEN_METRICS)
    assert text.endswith("\n# EOF\n")
    assert "# TYPE santa_proxy_requests counter\n" in text
    assert re.search(
        rf'^{BUCKET}{{route="console",le="[\d.]+"}} \d+ # {{trace_id="{TRACE}"}} ',
        text,
        re.MULTILINE,
    )
    assert "trace_id" not in scraped(deployment)
