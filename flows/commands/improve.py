"""`orderly improve`: the register of improvements, and what is decided of them."""

import getpass
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from flows.commands.exits import REFUSED, UNAVAILABLE, USAGE, CommandFailed
from flows.commands.local import local_settings
from flows.commands.models import find_model
from flows.commands.output import AsJson, console, write_json
from flows.commands.review import finding_lines, tried_edits
from flows.records.errors import NotFound
from flows.records.improvement_states import ImprovementState
from flows.records.improvements import Improvement
from flows.review.branching import make_branch
from flows.review.findings import Finding, finding_from_json
from flows.wiring import Application

app = typer.Typer(add_completion=False, no_args_is_help=True, help="The register of improvements.")

_Id = Annotated[str, typer.Argument(help="The finding, as `orderly review` names it.", metavar="FINDING")]
_Why = Annotated[str, typer.Option("--why", help="The reason, kept in the register.")]


@app.command("accept")
def accept(
    finding: _Id,
    why: _Why,
    agreed_by: Annotated[
        str | None, typer.Option(help="The owner who agreed, where one must.", metavar="OWNER")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make a git branch with the edit, its evidence in the message. Nothing is published, no file changed."""
    with _register() as application:
        improvement = _get(application, finding)
        found = finding_from_json(improvement.finding)
        if found.owner is not None and agreed_by != found.owner:
            raise CommandFailed(
                f"{found.owner} must agree to this. When that is so: --agreed-by {found.owner}", REFUSED
            )
        tried = tried_edits(application, (found,), examples=True)[found.id]
        if not tried.ready or tried.text is None:
            raise CommandFailed("\n".join([f"{found.id} cannot be taken as it is:", *tried.problems]), REFUSED)
        file = Path(find_model(application, found.model).file)
        branch = f"improve/{found.model}-{found.detector.replace('_', '-')}-{found.id}"
        agreed = f"\nAgreed by: {agreed_by}" if agreed_by else ""
        commit = make_branch(file, tried.text, branch, f"{_message(found)}\nReason: {why}{agreed}\n")
        _decide(application, found.id, ImprovementState.ACCEPTED, why)
    if as_json:
        write_json({"finding": found.id, "state": "accepted", "branch": branch, "commit": commit})
    else:
        console().print(
            f"Made the branch {branch}. Look at it (git show {branch}), merge it, and publish.", markup=False
        )


@app.command("reject")
def reject(finding: _Id, why: _Why, as_json: AsJson = False) -> None:
    """Say that a finding is not to be taken, and why."""
    with _register() as application:
        _get(application, finding)
        _decide(application, finding, ImprovementState.REJECTED, why)
    if as_json:
        write_json({"finding": finding, "state": "rejected"})
    else:
        console().print(f"{finding} is rejected.", markup=False)


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """Show the register: what was found, where it stands, who must agree, what was decided and why."""
    with _register() as application:
        known = application.records.read(lambda tx: tx.improvements.all())
    if as_json:
        write_json({"improvements": [_as_json(one) for one in known]})
        return
    table = Table("Finding", "Model", "State", "Owner", "What", "Reason", box=None, pad_edge=False)
    for one in known:
        said = finding_from_json(one.finding).summary
        table.add_row(one.id, one.model, one.state.value, one.owner or "", said, one.reason)
    console().print(table if known else "The register is empty. `orderly review` fills it.")


@app.command("show")
def show(finding: _Id, as_json: AsJson = False) -> None:
    """Show one finding with its evidence."""
    with _register() as application:
        one = _get(application, finding)
    if as_json:
        write_json(_as_json(one))
        return
    found = finding_from_json(one.finding)
    console().print("\n".join([f"{one.id}  {one.model}: {found.summary}", *finding_lines(found)]), markup=False)


@contextmanager
def _register() -> Iterator[Application]:
    settings = local_settings()
    if not settings.keyring_file.exists():
        raise CommandFailed(f"There are no records here ({settings.state}), so there is no register.", UNAVAILABLE)
    with Application.open(settings) as application:
        yield application


def _get(application: Application, finding: str) -> Improvement:
    try:
        return application.records.read(lambda tx: tx.improvements.get(finding))
    except NotFound:
        known = ", ".join(one.id for one in application.records.read(lambda tx: tx.improvements.all())[:10])
        raise CommandFailed(f"The register has no finding {finding!r}. It has: {known or 'none yet'}.", USAGE) from None


def _decide(application: Application, finding: str, state: ImprovementState, why: str) -> None:
    actor = getpass.getuser()
    application.records.run(lambda tx: tx.improvements.decide(finding, state, actor, why))


def _as_json(one: Improvement) -> dict[str, object]:
    return {
        "finding": dict(one.finding),
        "state": one.state.value,
        "owner": one.owner,
        "actor": one.actor,
        "reason": one.reason,
        "made": one.made.isoformat(),
        "seen": one.seen.isoformat(),
    }


def _message(found: Finding) -> str:
    return "\n".join(
        [f"{found.model}: {found.summary}", "", *finding_lines(found), f"Finding: {found.id} ({found.detector})"]
    )
