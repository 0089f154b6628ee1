"""The operator's Retry, in a real browser: a request goes on from its failed step, and nothing done is done again."""

from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent

import pytest
from playwright.sync_api import Locator, Page, expect, sync_playwright

import needs
from estate import Estate, running
from flows.sandbox.inspection import folder, mails, read_host_file

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.slow,
    pytest.mark.needs("chromium", "namespaces"),
    pytest.mark.timeout(600),
]

SCREENSHOTS = Path(__file__).parents[2] / "test-artifacts" / "browser-retry"
VISITORS = "/srv/visitors"

MODEL = """\
    model: three-steps
    title: Three steps
    kind: resource
    service: tests
    owners: {accountable: tester}
    inputs:
      visitor: {type: string, pattern: "^[a-z][a-z0-9-]{1,19}$"}
    due: {within: PT30M}
    steps:
      - id: count
        title: Signing the visitors' book
        uses: runbook.sign_book
        hosts: web-1
        with: {visitor: "{{ inputs.visitor }}"}
        undo: {none: A signature stays.}
      - id: folder
        title: Making the folder
        uses: runbook.project_folder
        hosts: file_servers
        with: {project: "{{ inputs.visitor }}", title: A folder, owner: "{{ user.id }}", made_by: "{{ request.id }}"}
        undo:
          uses: runbook.project_folder_absent
          with: {project: "{{ args.project }}", made_by: "{{ args.made_by }}"}
      - id: tell
        title: Telling the visitor
        uses: mail.send
        with: {to: "{{ user.email }}", subject: "Welcome, {{ inputs.visitor }}", text: "You are in the book."}
        undo: {none: A mail that was sent cannot be called back.}
    """

# Not repeatable, and it leaves a line for each time that it ran: the target counts, not we.
SIGN_BOOK = f"""\
    - name: Sign the book
      hosts: all
      gather_facts: false
      tasks:
        - name: Add a line
          ansible.builtin.command:
            argv: [tee, --append, {VISITORS}]
            stdin: "{{{{ visitor }}}}"
          changed_when: true
        - name: Report
          ansible.builtin.debug:
            msg: {{outputs: {{signed: true}}}}
    """

SIGN_BOOK_META = """\
    title: Sign the visitors' book
    description: Adds a line each time it runs.
    effect: not-repeatable
    check_mode: none
    arguments:
      visitor: {type: str, required: true, description: The name to write.}
    outputs:
      signed: {type: bool, required: true}
    """


@pytest.fixture(scope="module")
def estate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Estate]:
    content = tmp_path_factory.mktemp("content")
    for name, text in (
        ("models/three-steps.yaml", MODEL),
        ("runbooks/playbooks/sign_book.yml", SIGN_BOOK),
        ("runbooks/playbooks/sign_book.meta.yml", SIGN_BOOK_META),
    ):
        (content / name).parent.mkdir(parents=True, exist_ok=True)
        (content / name).write_text(dedent(text))
    with running(tmp_path_factory.mktemp("retry") / "state", ORDERLY_CONTENT=str(content)) as estate:
        yield estate


@pytest.fixture
def page() -> Iterator[Page]:
    """A page of Debian's Chromium, which looks nothing up by itself."""
    quiet = [
        "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
        "--disable-component-update", "--disable-sync",
    ]  # fmt: skip
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=needs.program("chromium"), headless=True, args=quiet)
        try:
            yield browser.new_page(viewport={"width": 1400, "height": 1100})
        finally:
            browser.close()


@pytest.fixture
def photograph(page: Page) -> Callable[[str], None]:
    """Keep a screenshot of the page, for people."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)

    def keep(name: str) -> None:
        page.screenshot(path=SCREENSHOTS / f"{name}.png")

    return keep


class Cable:
    """The way to a host: without the file that says which process the host is, none is found there."""

    def __init__(self, state: Path, host: str) -> None:
        self._way = folder(state) / "hosts" / host / "pid"
        self._away = self._way.with_name("pid.unplugged")

    def pull(self) -> None:
        self._way.rename(self._away)

    def plug_in(self) -> None:
        self._away.rename(self._way)


def task_run(page: Page, name: str) -> Locator:
    """A line of the tab Task Runs."""
    return page.locator(".task-run-list-item").filter(has_text=name)


def test_an_operator_presses_retry_and_the_request_goes_on_from_its_failed_step(
    estate: Estate, page: Page, photograph: Callable[[str], None]
) -> None:
    way_to_files = Cable(estate.state, "files-1")
    way_to_files.pull()
    accepted = estate.order("three-steps", {"visitor": "ada-lovelace"})
    assert accepted.status_code == 202, accepted.text
    request_id = accepted.json()["id"]
    broken = estate.settled(request_id)
    assert [(step["path"], step["state"]) for step in broken["steps"]] == [
        ("count", "done"),
        ("folder", "failed"),
        ("tell", "pending"),
    ]
    assert broken["state"] == "on_hold"

    # What the operator sees, by the link in our own answer.
    page.goto(broken["links"]["prefect"])
    expect(page.get_by_text("Failed", exact=True).first).to_be_visible(timeout=30_000)
    expect(page.get_by_text("the host files-1 is not running").first).to_be_visible(timeout=30_000)
    photograph("0-logs")
    page.get_by_text("Task Runs", exact=True).click()
    expect(task_run(page, "folder")).to_contain_text("Failed", timeout=30_000)
    photograph("1-failed")
    page.get_by_text("Artifacts", exact=True).click()
    photograph("2-artifact")

    way_to_files.plug_in()
    page.get_by_role("button", name="Retry", exact=True).click()
    question = page.get_by_role("dialog")
    expect(question).to_contain_text("Retry")
    photograph("3-retry-asks")
    question.get_by_role("button", name="Retry", exact=True).click()

    fulfilled = estate.settled_as(request_id, "fulfilled")
    assert [(step["path"], step["state"]) for step in fulfilled["steps"]] == [
        ("count", "done"),
        ("folder", "done"),
        ("tell", "done"),
    ]

    page.reload()
    expect(page.get_by_text("Completed", exact=True).first).to_be_visible(timeout=30_000)
    page.get_by_text("Task Runs", exact=True).click()
    expect(task_run(page, "count").filter(has_text="Cached")).to_be_visible(timeout=30_000)
    expect(task_run(page, "tell").filter(has_text="Completed")).to_be_visible()
    photograph("4-cached-and-completed")

    # Counted where the effects are.
    assert read_host_file(estate.state, "web-1", VISITORS).splitlines() == ["ada-lovelace"]
    assert len([mail for mail in mails(estate.state) if mail["Subject"] == "Welcome, ada-lovelace"]) == 1
