"""The page in a real Chromium, with a real cluster behind it."""

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.dashboard.browser import browser_here, launched, needs_chromium, page_in
from tests.integration.cluster import Cluster, cluster_in, noise, port_of

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = needs_chromium

HOSTILE = "<img src=x onerror=alert(1)>.bin"
DASHBOARD = ("dashboard", "--listen", "127.0.0.1:0")
ESTABLISHED = "01"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Cluster, str]]:
    """Three nodes of which two run, with four things, and their dashboard."""
    with cluster_in(tmp_path_factory.mktemp("page") / "cluster") as cluster:
        file = cluster.file.read_text()
        cluster.file.write_text(f"{file}accept_pushes: true\n")
        cluster.put("a.bin", noise(300_000), "n1", "n2")
        cluster.put("big.bin", noise(3 << 20, 2), "n1")
        cluster.put(HOSTILE, b"hostile", "n1")
        cluster.start("n1", "n2")
        assert cluster.run("push", "a.bin").exit_code == 0
        yield cluster, launched(cluster)


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    with browser_here() as browser:
        yield browser


@pytest.fixture
def page(browser: "Browser", running: tuple[Cluster, str]) -> Iterator["Page"]:
    with page_in(browser) as page:
        page.goto(running[1])
        page.wait_for_selector("#status[data-state=live]")
        yield page


def row(page: "Page", name: str) -> str:
    """Return what the row of that name says, once it is there."""
    found = page.locator(f"tbody tr[data-key={name!r}]")
    found.wait_for()
    return " ".join(found.inner_text().split())


def test_shows_nodes_things_and_pushes(page: "Page", running: tuple[Cluster, str]) -> None:
    cluster, _ = running
    page.wait_for_selector("tr[data-key='n1']:has-text('idle')")  # It has hashed all, and says so.
    assert "n1 idle" in row(page, "n1")
    assert "n3 never seen" in row(page, "n3")
    page.click("text=Pushes >> nth=1")
    assert "2 of 3 have it" in row(page, "a.bin")
    page.click("tr:has-text('a.bin')")
    page.wait_for_selector("dd:has-text('2 of 3 have it')")
    assert "n3 offline" in row(page, "n3")  # It is to have it, and has not begun.
    page.click("nav >> text=Things")
    assert cluster.fetch("big.bin", node="n2").exit_code == 0
    page.wait_for_selector("tr:has-text('big.bin') >> text=2 of 3 have it")
    page.click("tr:has-text('big.bin')")
    page.wait_for_selector("h2:has-text('big.bin v1')")
    assert "n2 has it all" in row(page, "n2")
    page.click("text=all things")
    page.wait_for_selector("tr:has-text('a.bin')")


def test_what_others_wrote_is_only_text(page: "Page") -> None:
    """The fixture sees dialogs, errors and requests that lead elsewhere."""
    page.click("nav >> text=Things")
    page.wait_for_selector(f"tr:has-text({HOSTILE!r})")
    page.click(f"tr:has-text({HOSTILE!r})")
    page.wait_for_selector(f"h2:has-text({HOSTILE!r})")
    page.goto(f"{page.url.split('#')[0]}#node/%3Cscript%3Ealert(1)%3C%2Fscript%3E")
    page.wait_for_selector("h2:has-text('<script>alert(1)</script>')")
    assert page.locator("img[src=x], body script").count() == 0


def test_everything_can_be_reached_with_the_keyboard(page: "Page") -> None:
    def focused() -> str:
        return str(page.evaluate("document.activeElement.innerText.split(/\\s/)[0]"))

    page.keyboard.press("Tab")
    assert focused() == "Skip"
    for _ in range(20):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.tagName") == "TR":
            break
    assert focused() == "n1"
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.keyboard.press("End")
    assert focused() == "n3"
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    page.wait_for_selector("h2:has-text('n2')")
    assert focused() == "n2"  # The heading: reading goes on there.
    page.go_back()
    page.wait_for_selector("tbody tr[data-key=n1]")
    page.focus("nav a >> nth=0")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    page.wait_for_selector("nav a[aria-current]:has-text('Things')")


def test_names_its_parts_for_those_who_do_not_see_it(page: "Page") -> None:
    row(page, "n1")
    for role in ("banner", "navigation", "main", "contentinfo", "status", "table"):
        assert page.get_by_role(role).count() >= 1, role
    for picture in page.locator("canvas:visible, svg[role=img]").all():
        assert picture.get_attribute("aria-label")
    unnamed = "button, input, a"
    for one in page.locator(unnamed).all():
        name = one.get_attribute("aria-label") or one.inner_text() or one.get_attribute("value")
        assert name, one.evaluate("(element) => element.outerHTML")


def test_sorts_and_filters(page: "Page") -> None:
    row(page, "n1")
    page.click("th button:has-text('Node')")
    assert page.locator("th[aria-sort=descending]").count() == 1
    assert page.locator("tbody tr").first.inner_text().startswith("n3")
    page.fill("input[type=search]", "never")
    assert page.locator("tbody tr").count() == 1
    page.fill("input[type=search]", "")
    page.check("input[value=off]", force=True)
    assert page.locator("tbody tr").count() == 1


def test_the_theme_is_the_systems_or_the_readers(page: "Page") -> None:
    def ground() -> object:
        return page.evaluate("getComputedStyle(document.body).backgroundColor")

    page.emulate_media(color_scheme="light")
    light = ground()
    page.emulate_media(color_scheme="dark")
    dark = ground()
    assert light != dark
    page.click("#theme")
    assert ground() == light
    page.reload()
    page.wait_for_selector("#status[data-state=live]")
    assert ground() == light
    page.click("#theme")
    assert ground() == dark


@pytest.mark.parametrize("width", [390, 800])
def test_fits_into_narrow_windows(page: "Page", width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    for view in ("nodes", "things", "pushes", "node/n1"):
        page.goto(f"{page.url.split('#')[0]}#{view}")
        page.wait_for_selector("tbody tr")
        assert page.evaluate("document.documentElement.scrollWidth") <= width, view


def connections(url: str) -> int:
    """Return how many connections to the dashboard are open."""
    port = f":{port_of(url.strip('/')):04X}"
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(line[1].endswith(port) and line[3] == ESTABLISHED for line in lines)


def test_a_hidden_page_asks_for_nothing(page: "Page", running: tuple[Cluster, str]) -> None:
    cluster, url = running
    turn = """(hidden) => {
        Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
        document.dispatchEvent(new Event("visibilitychange"));
    }"""
    opened: list[str] = []
    page.on("request", lambda request: opened.append(request.url))
    page.evaluate(turn, True)  # noqa: FBT003 (it is JavaScript's)
    page.wait_for_selector("#status[data-state=hidden]")
    cluster.wait(lambda: connections(url) == 0, "the stream is closed", 20.0)
    assert opened == []
    page.evaluate(turn, False)  # noqa: FBT003
    page.wait_for_selector("#status[data-state=live]")
    assert len(opened) == 1


def test_goes_on_when_the_tracker_is_back(page: "Page", running: tuple[Cluster, str]) -> None:
    cluster, _ = running
    cluster.kill("tracker")
    page.wait_for_selector("#alert:has-text('does not answer')")
    assert page.inner_text("#status") == "tracker away"
    assert "n1" in row(page, "n1")
    cluster.start_tracker()
    page.wait_for_selector("#status[data-state=live]")
    assert page.is_hidden("#alert")


def test_stops_while_pages_are_open(page: "Page", running: tuple[Cluster, str]) -> None:
    """The last test of this cluster."""
    cluster, _ = running
    row(page, "n1")
    done = cluster.stop(*DASHBOARD, number=signal.SIGINT)
    assert done.exit_code == 0
    page.wait_for_selector("#alert:has-text('does not answer')")
