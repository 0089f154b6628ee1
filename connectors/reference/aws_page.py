"""The page of AWS: how operations become actions, and the reviewed line of each operation, service by service."""

from collections.abc import Iterable, Mapping
from itertools import groupby

from connectors.aws.actions import NAME
from connectors.aws.effect_files import OWN_FILE, load_effects
from connectors.aws.effects import MARK, Effect, LifetimeSource
from connectors.aws.services import Services
from connectors.reference.effect_words import REPEATING
from request_models.actions import EffectClass, Outcome
from request_models.reference.markdown import code, table

_SOURCES: Mapping[LifetimeSource, str] = {
    LifetimeSource.SERVICE_MODEL: "as AWS says",
    LifetimeSource.MEMORY: "as remembered of AWS's pages",
    LifetimeSource.ASSUMED: "assumed, surely too short",
}


def aws_page() -> str:
    """The page. Which services there are is asked of the botocore that is installed."""
    services, effects = Services().names, load_effects().lines
    by_service = groupby(sorted(effects.items()), key=lambda line: line[0].partition(".")[0])
    sections = [_section(service, list(lines)) for service, lines in by_service]
    classes = table(["Effect class", "Operations", "After a call whose outcome is unknown"], _classes(effects.values()))
    return "\n".join(
        [
            _INTRODUCTION.format(services=len(services)),
            _EFFECTS.format(reviewed=len(effects), classes=classes),
            *sections,
            f"## Services\n\n{', '.join(map(code, services))}.\n",
        ]
    )


def _classes(lines: Iterable[Effect]) -> list[list[str]]:
    found = [line.effect for line in lines]
    return [[code(str(one)), str(found.count(one)), words] for one, words in REPEATING.items()]


def _section(service: str, lines: list[tuple[str, Effect]]) -> str:
    named = [(name.partition(".")[2], line) for name, line in lines]
    reads = [name for name, line in named if line.effect is EffectClass.READ_ONLY]
    rows = [[code(name), *_cells(line)] for name, line in named if line.effect is not EffectClass.READ_ONLY]
    parts = [f"### {NAME}.{service}\n"]
    if rows:
        parts.append(table(["Operation", "Effect class", "Told apart by", "Outcome", "Because"], rows))
    if reads:
        parts.append(f"Read only: {', '.join(map(code, reads))}.\n")
    return "\n".join(parts)


def _cells(line: Effect) -> tuple[str, str, str, str]:
    return code(str(line.effect)), "; ".join(_told_by(line)), _outcome(line), line.why


def _told_by(line: Effect) -> list[str]:
    """How what the call did is known: its token, a read before it, a look for its mark."""
    found = []
    if line.token_lifetime is not None and line.token_lifetime_source is not None:
        found.append(
            f"token, remembered {_length(line.token_lifetime.total_seconds())} ({_SOURCES[line.token_lifetime_source]})"
        )
    if line.before is not None:
        found.append(f"{code(line.before.operation)} before the call")
    if line.probe is not None:
        how = f"by the tag {code(MARK)}" if line.mark is not None else "by its token"
        found.append(f"{code(line.probe.operation)} after it, {how}")
    return found


def _outcome(line: Effect) -> str:
    if line.before is None:
        return "changed" if line.outcome is Outcome.CHANGED else str(line.outcome.value)
    if line.before.aim == "absent":
        return "changed; already so where nothing was there"
    if line.before.when_different == "refuse":
        return "made; already so; another's thing of that name is refused"
    return "made; changed; already so" if line.before.same is not None else "made; changed"


def _length(seconds: float) -> str:
    for unit, length in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= length and seconds % length == 0:
            count = int(seconds // length)
            return f"{count} {unit if count > 1 else unit.removesuffix('s')}"
    return f"{seconds:g} seconds"


_INTRODUCTION = f"""\
# AWS

Every operation of the {{services}} services that AWS's own client for Python knows is an action,
`{NAME}.SERVICE.OPERATION`: the service as the AWS command line names it, hyphens kept, the operation in small letters
with underscores, `{NAME}.application-autoscaling.register_scalable_target`. Operations that take a stream of events
are refused, with that reason.

**Arguments** are those of AWS, by the names that AWS gives them, typed by its own definition: types, required
members, values to choose from, patterns, lengths and ranges. Bytes are Base64 text, times are date-times with an
offset. The idempotency token need not be given: Orderly fills it in. Where pages of an answer can be gathered,
`PaginationConfig` with `MaxItems`, `PageSize` and `StartingToken` gathers them.

**Results** are AWS's answers, typed alike. AWS says of almost no member that it is always there, so a member counts
as present when a model is checked, and is looked for when it is read.

**Where** a call goes is said by the settings (`connectors.{NAME}`), or by `target: {{{{{NAME}: ...}}}}` of the model
or a step, with `region`, `role` (the ARN of a role to take) and `account` (a name of the settings).

**Errors** are sorted into transient, permanent, rejected and unknown, by their codes; `not_yet` of a polling step
names such codes.
"""

_EFFECTS = f"""\
## What operations do

The effect class of {{reviewed}} operations was reviewed, one by one. **Every other operation counts as not
repeatable**, as nothing is guessed from a name; `{OWN_FILE}` in a content folder says what more of them do, in the
form of `connectors/aws/effects.yaml`.

{{classes}}
Where something is read before the call, the step's outcome says what this request did: made, changed, or found as
it should be already. Undo takes back what was made, restores what was changed, and leaves alone what was there.
"""
