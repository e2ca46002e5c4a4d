"""The running deployment that `cargo xtask ci e2e` starts, a browser, and simulated Macs."""

import json
import os
import re
import subprocess
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Locator,
    Page,
    StorageState,
    ViewportSize,
    expect,
    sync_playwright,
)

from tests.e2e.pending import Careful, Pending, expect_none_anywhere
from tests.support import secrets
from tests.support.rest_client import RestClient
from tests.support.santa_client import SimulatedMac

CHROMIUM = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
FAILED = pytest.StashKey[bool]()
TIMEOUT = 15_000
"""Timeout of a page, in milliseconds."""


@dataclass(frozen=True)
class Deployment:
    """The addresses and credentials."""

    url: str
    username: str
    password: str
    secret: str
    admin_listener: str
    artifacts: Path

    @contextmanager
    def api(self) -> Iterator[RestClient]:
        """Yield a logged-in client."""
        hooks: dict[str, list[Callable[..., None]]] = {
            "request": [expect_none_anywhere],
            "response": [secrets.watch],
        }
        with RestClient(
            base_url=self.url, headers={"Origin": self.url}, timeout=30, event_hooks=hooks
        ) as client:
            body = {"username": self.username, "password": self.password}
            client.post("/api/v1/auth/login", json=body).raise_for_status()
            yield client

    def supervise(self, *words: str) -> str:
        """Give a command to the running santa-supervise."""
        command = [os.environ["SANTA_E2E_SUPERVISE"], *words, "--config", os.environ["SANTA_E2E_CONFIG"]]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout  # noqa: S603 - ours


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Record a failure for the fixtures' teardown."""
    report = yield
    item.stash[FAILED] = item.stash.get(FAILED, False) or report.failed
    return report


@pytest.fixture(scope="session")
def deployment() -> Deployment:
    """Return the deployment; it is started before the tests begin."""
    path = os.environ.get("SANTA_E2E_CREDENTIALS")
    if path is None:
        pytest.fail("these tests need the running deployment: cargo xtask ci e2e")
    found = json.loads(Path(path).read_text())
    artifacts = Path(os.environ["SANTA_E2E_ARTIFACTS"])
    artifacts.mkdir(exist_ok=True)
    return Deployment(
        url=found["url"],
        username=found["admin"]["username"],
        password=found["admin"]["password"],
        secret=found["enrollment_secret"],
        admin_listener=found["admin_listener"],
        artifacts=artifacts,
    )


@pytest.fixture(scope="session", autouse=True)
def _secrets(deployment: Deployment) -> Iterator[None]:
    """Leave the secrets that were used for `cargo xtask ci e2e`, which looks for them in the log."""
    secrets.remember(deployment.password, deployment.secret)
    yield
    deployment.artifacts.joinpath("secrets.json").write_text(json.dumps(sorted(secrets.used())))


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Return the machine's own browser, headless."""
    expect.set_options(timeout=TIMEOUT)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=os.environ["SANTA_E2E_BROWSER"], args=CHROMIUM)
        yield chromium
        chromium.close()


QUESTION = re.compile(r"^Change [0-9,]+ Macs?\?$")
"""The question before a change that concerns many Macs, as nearly every change of these few does."""
ASKED = "status of 409"
"""What a browser says of the response that has the question."""


def confirm(question: Locator) -> None:
    """Answer it with yes."""
    question.get_by_role("button", name="Yes, change").click()
    expect(question).to_be_hidden()


def form_dialog(page: Page) -> Locator:
    """Return the dialog that the page shows, beside that question."""
    yes = page.get_by_role("button", name="Yes, change")
    return page.get_by_role("dialog").filter(has_not=yes)


def submit(dialog: Locator, button: str) -> None:
    """Click the button of a dialog, and wait until it is closed: what it makes is saved by then."""
    dialog.get_by_role("button", name=button).click()
    expect(dialog).to_be_hidden()


@dataclass
class Visit:
    """A page and the errors in its console."""

    page: Page
    complaints: list[str]


OpenPage = Callable[..., Visit]


@pytest.fixture
def open_page(browser: Browser, deployment: Deployment, request: pytest.FixtureRequest) -> Iterator[OpenPage]:
    """Return a function that opens a page of a browser, of a new one unless it is told `within` which.

    A failure leaves a screenshot.
    """
    contexts: list[BrowserContext] = []
    visits = []
    changes = []

    def opened(
        path: str = "/",
        *,
        confirms: bool = True,
        viewport: ViewportSize | None = None,
        within: BrowserContext | None = None,
        **options: Any,  # noqa: ANN401 - options of the browser
    ) -> Visit:
        if within is None:
            within = browser.new_context(base_url=deployment.url, **options)
            contexts.append(within)
        page = within.new_page()
        if viewport:
            page.set_viewport_size(viewport)
        page.set_default_timeout(TIMEOUT)
        changes.append(Pending(page))
        visit = Visit(page, [])
        visits.append(visit)

        def hear(message: ConsoleMessage) -> None:
            if message.type == "error" and ASKED not in message.text:
                visit.complaints.append(message.text)

        page.on("console", hear)
        page.on("pageerror", lambda error: visit.complaints.append(str(error)))
        if confirms:
            page.add_locator_handler(page.get_by_role("dialog", name=QUESTION), confirm)
        page.goto(path)
        return visit

    yield opened
    failed = request.node.stash.get(FAILED, False)
    try:
        for number, visit in enumerate(visits if failed else []):
            name = re.sub(r"[^a-z0-9]+", "-", request.node.name)
            visit.page.screenshot(path=deployment.artifacts / f"{name}-{number}.png", full_page=True)
        for change in changes if not failed else []:
            change.expect_none("the end")
    finally:
        for visit, change in zip(visits, changes, strict=True):
            change.close()
            visit.page.close()
        for context in contexts:
            context.close()


@pytest.fixture(scope="session")
def session(browser: Browser, deployment: Deployment) -> StorageState:
    """Return the cookies of one log-in through the form."""
    context = browser.new_context(base_url=deployment.url)
    page = context.new_page()
    page.goto("/login")
    log_in(page, deployment)
    state = context.storage_state()
    secrets.remember(*(cookie["value"] for cookie in state["cookies"]))
    context.close()
    return state


@pytest.fixture(scope="session")
def desk(browser: Browser, deployment: Deployment, session: StorageState) -> Iterator[BrowserContext]:
    """Return the administrator's browser: it has the console's files, so that a page takes half as long."""
    context = browser.new_context(base_url=deployment.url, storage_state=session)
    yield context
    context.close()


@pytest.fixture
def logged_in(open_page: OpenPage, desk: BrowserContext) -> OpenPage:
    """Return a function that opens a page as the administrator."""
    return partial(open_page, within=desk)


def log_in(page: Page, deployment: Deployment) -> None:
    """Fill in the form and wait for the overview."""
    page.get_by_label("Username").fill(deployment.username)
    page.get_by_label("Password").fill(deployment.password)
    page.get_by_role("button", name="Log in").click()
    page.get_by_role("heading", name="Overview", level=1).wait_for()


@pytest.fixture
def mac(deployment: Deployment) -> Iterator[Callable[..., SimulatedMac]]:
    """Return a function that makes a Mac which syncs through the public port."""
    macs: list[SimulatedMac] = []

    def made(**fields: Any) -> SimulatedMac:  # noqa: ANN401 - fields of the Mac
        one = SimulatedMac(deployment.url, secret=deployment.secret, transport=Careful(), **fields)
        macs.append(one)
        return one

    yield made
    for one in macs:
        one.close()
