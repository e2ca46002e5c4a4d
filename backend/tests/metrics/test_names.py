"""The names of metrics: well formed, complete in every scrape, and documented."""

import asyncio

import pytest

from santaserver.instruments import PREFIX, Buckets, Counter, Family, Histogram, Kind, distribution
from santaserver.main import create_app
from santaserver.metrics.router import families, render
from santaserver.settings import load
from santaserver.state import AppState
from tests.support.monitoring import documented
from tests.support.postgres import as_server
from tests.support.santa_client import SimulatedMac
from tests.support.scrape import series_in, types_in
from tests.support.server import RunningServer


@pytest.mark.parametrize(
    ("name", "kind", "meaning", "labels"),
    [
        ("requests", "counter", "Requests.", ()),
        ("requests_total", "gauge", "Requests.", ()),
        ("Requests_total", "counter", "Requests.", ()),
        ("requests__total", "counter", "Requests.", ()),
        ("requests_total", "counter", "Requests", ()),
        ("requests_total", "counter", 'Requests of "Macs".', ()),
        ("requests_total", "counter", "Requests.\nTwo lines.", ()),
        ("seconds", "histogram", "Time.", ("le",)),
        ("requests_total", "counter", "Requests.", ("Mac id",)),
    ],
)
def test_a_name_that_prometheus_would_not_take_is_refused(
    name: str, kind: Kind, meaning: str, labels: tuple[str, ...]
) -> None:
    with pytest.raises(ValueError, match=r"name|meaning|labels"):
        Family(name, kind, meaning, labels)


def test_labels_take_only_the_values_that_they_were_defined_with() -> None:
    counter = Counter("requests_total", "Requests.", stage=("one", "two"))
    histogram = Histogram("request_seconds", "Time.", (1.0,), stage=("one",))
    for values in ((), ("three",), ("one", "two")):
        with pytest.raises(KeyError):
            counter.add(*values)
        with pytest.raises(KeyError):
            histogram.observe(1.0, *values)
    counter.add("two", number=3)
    assert list(counter.lines())[2:] == [
        'santa_backend_requests_total{stage="one"} 0',
        'santa_backend_requests_total{stage="two"} 3',
    ]
    with pytest.raises(ValueError, match="label"):
        list(counter.family.lines([(('a"b',), 1)]))


def test_a_histogram_counts_a_value_in_each_bucket_that_is_not_below_it() -> None:
    bounds = (0.5, 1.0)
    buckets = Buckets(bounds)
    for value in (0.5, 0.6, 7.0):
        buckets.observe(value)
    text = list(distribution(Family("wait_seconds", "histogram", "Waits."), bounds, [((), buckets)]))
    assert text == [
        "# HELP santa_backend_wait_seconds Waits.",
        "# TYPE santa_backend_wait_seconds histogram",
        'santa_backend_wait_seconds_bucket{le="0.5"} 1',
        'santa_backend_wait_seconds_bucket{le="1.0"} 2',
        'santa_backend_wait_seconds_bucket{le="+Inf"} 3',
        "santa_backend_wait_seconds_sum 8.1",
        "santa_backend_wait_seconds_count 3",
    ]


def test_each_family_is_in_a_scrape_once_and_on_the_page() -> None:
    state = create_app(load({})).state.santa
    text = "\n".join(render(state))
    assert series_in(text)
    defined = families()
    assert types_in(text) == {family.full_name: family.kind for family in defined}
    assert len({family.name for family in defined}) == len(defined)
    page = {name: row for name, row in documented().items() if name.startswith(PREFIX)}
    expected = {
        family.full_name: (family.kind, ", ".join(f"`{label}`" for label in family.labels), family.meaning)
        for family in defined
    }
    assert page == expected, "docs/metrics.md says something else than the families"


def test_figures_come_from_the_database(server: RunningServer, mac: SimulatedMac) -> None:
    mac.sync()
    state: AppState = create_app(load({"DATABASE_URL": as_server(server.dsn)}), server.clock).state.santa

    async def read() -> str:
        try:
            assert not [line for line in render(state) if line.startswith("santa_backend_macs{")]
            await state.figures.refresh()
            return "\n".join(render(state))
        finally:
            await state.database.close()

    shown = series_in(asyncio.run(read()))
    assert shown['santa_backend_macs{state="in_sync"}'] == 1
    assert shown['santa_backend_macs_in_mode{mode="monitor"}'] == 1
    assert shown["santa_backend_database_up"] == 1
    assert shown["santa_backend_schedule_lag_seconds"] == 0
    assert shown["santa_backend_audit_entries"] > 0
    assert shown["santa_backend_database_size_bytes"] > 1e6
    assert 0 < shown["santa_backend_database_connections"] < shown["santa_backend_database_max_connections"]
    server.clock.advance(minutes=10)
    assert not [line for line in render(state) if line.startswith("santa_backend_macs{")]
