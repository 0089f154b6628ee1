"""Rows and plans as wire shapes. What is secret is null in the rows already and is never revealed here."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self, cast

from flows.api.approval_views import approval_outline
from flows.api.forms import form_of
from flows.api.languages import text_in
from flows.api.lock_shapes import LockAhead, OwnLockShape
from flows.api.shapes import (
    Accepted,
    AcceptedLinks,
    AssignedShape,
    AttemptShape,
    CorrectionShape,
    EffectShape,
    FormShape,
    HeldStepShape,
    HoldShape,
    InputChange,
    LeftOverShape,
    ModelDetail,
    ModelLinks,
    ModelSummary,
    OutputShape,
    OwnersShape,
    PersonShape,
    RequestDetail,
    RequestLinks,
    RequestSummary,
    SourceShape,
    StepOutline,
    StepShape,
    TouchShape,
    UndoShape,
)
from flows.approvals import ShownApproval, shown
from flows.holds import Hold, hold_of
from flows.lock_listing import OwnLock, locks_of
from flows.records.corrections import CorrectionRow
from flows.records.records import Transaction
from flows.records.rows import AttemptRow, EffectRow, Person, Publication, RequestRow, StepRow, Touch, UndoRow
from flows.records.states import RequestState
from flows.reversal import UNDOABLE, is_cancellable
from request_models.json_values import JsonValue
from request_models.plan import Plan, Step, step_of

PENDING = "pending"
"""The state of a step that has not been reached: it has no row."""


@dataclass(frozen=True)
class Known:
    """What is recorded about a request beside its own row."""

    plan: Plan
    steps: Sequence[StepRow]
    attempts: Sequence[AttemptRow]
    effects: Sequence[EffectRow]
    undo: UndoRow | None
    touches: Sequence[Touch]
    corrections: Sequence[CorrectionRow]
    hold: Hold | None
    locks: Sequence[OwnLock]
    approvals: Sequence[ShownApproval]

    @classmethod
    def read(cls, tx: Transaction, request: RequestRow) -> Self:
        """All of it, as it is at one moment."""
        plan = tx.plans.get(request.plan_digest)
        return cls(
            plan,
            tx.steps.all(request.id),
            tx.steps.attempts(request.id),
            tx.effects.latest(request.id),
            tx.undos.get(request.id),
            tx.touches.of(request.id),
            tx.corrections.of(request.id),
            hold_of(tx, request, plan),
            locks_of(tx, request.id),
            [shown(tx, row) for row in tx.approvals.of(request.id)],
        )


class Views:
    """Makes shapes for one caller: links start with `base_url`, texts are in the language they like."""

    def __init__(self, base_url: str, prefect_ui: str, accept_language: str | None) -> None:
        self._base = base_url
        self._prefect = prefect_ui
        self._language = accept_language

    def model_summary(self, publication: Publication, plan: Plan) -> ModelSummary:
        """A model in the catalogue's list."""
        return ModelSummary(
            model=plan.model,
            title=self._text(plan.title),
            summary=self._text(plan.summary),
            kind=plan.kind,
            service=plan.service,
            version=publication.version,
            digest=plan.digest,
            links=ModelLinks(self=f"{self._base}/v1/catalogue/{plan.model}", order=f"{self._base}/v1/requests"),
        )

    def model_detail(self, publication: Publication, plan: Plan) -> ModelDetail:
        """A model with its form."""
        form = form_of(plan)
        owners = plan.owners
        return ModelDetail(
            **self.model_summary(publication, plan).model_dump(),
            owners=OwnersShape(
                accountable=owners.accountable,
                responsible=list(owners.responsible),
                consulted=list(owners.consulted),
                informed=list(owners.informed),
            ),
            due_seconds=plan.due.within_seconds,
            steps=[StepOutline(path=step.path, title=self._text(step.title) or step.path) for step in plan.steps],
            form=FormShape(json_schema=dict(form.schema), ui_schema=dict(form.ui_schema), defaults=dict(form.defaults)),
        )

    def accepted(self, request: RequestRow, state: RequestState) -> Accepted:
        """The answer to an order; `state` is the one it was accepted in, so that a repeated answer is the same."""
        return Accepted(
            id=request.id,
            model=request.model,
            model_version=request.model_version,
            state=state,
            submitted=request.submitted,
            due=request.due_at,
            links=AcceptedLinks(self=self.request_url(request.id)),
        )

    def request_summary(self, request: RequestRow, plan: Plan) -> RequestSummary:
        """A request in a list."""
        return RequestSummary(
            id=request.id,
            model=request.model,
            title=self._text(plan.title),
            state=request.state,
            state_reason=request.state_reason,
            requester=_person(request.requester),
            requested_for=_person(request.requested_for),
            submitted=request.submitted,
            started=request.started,
            ended=request.ended,
            due=request.due_at,
            source=_source(request),
            links=self._links(request),
        )

    def request_detail(self, request: RequestRow, known: Known) -> RequestDetail:
        """A request with its steps, effects and outputs, and what people did and can do."""
        plan = known.plan
        return RequestDetail(
            **self.request_summary(request, plan).model_dump(),
            model_version=request.model_version,
            plan_digest=request.plan_digest,
            inputs=cast(dict[str, JsonValue], request.inputs.public),
            secret_inputs=list(request.inputs.secret_pointers),
            steps=self.steps(plan.steps, known.steps, known.attempts),
            outputs=self.outputs(request, plan),
            effects=[_effect(row) for row in known.effects],
            undo=None if known.undo is None else _undo(known.undo),
            cancelled_by=request.cancelled_by,
            version=request.version,
            parent=request.parent,
            zero_touch=not known.touches,
            touches=[_touch(touch) for touch in known.touches],
            corrections=[_correction(row) for row in known.corrections],
            hold=None if known.hold is None else _hold(known.hold, request),
            locks=[_lock(one) for one in known.locks],
            prerequisites=self.steps([step_of(read) for read in plan.prerequisites], known.steps, known.attempts),
            approvals=[approval_outline(one, self._base) for one in known.approvals],
        )

    def request_url(self, request_id: str) -> str:
        """Where a request is read."""
        return f"{self._base}/v1/requests/{request_id}"

    def task_url(self, task_id: str) -> str:
        """Where a task is read."""
        return f"{self._base}/v1/tasks/{task_id}"

    def title_of(self, plan: Plan) -> str:
        """The title of a model."""
        return self._text(plan.title)

    def _links(self, request: RequestRow) -> RequestLinks:
        here = self.request_url(request.id)
        return RequestLinks(
            self=here,
            prefect=f"{self._prefect}/runs/flow-run/{request.flow_run_id}" if request.flow_run_id else None,
            retry=f"{here}:retry" if request.state is RequestState.ON_HOLD else None,
            cancel=f"{here}:cancel" if is_cancellable(request.state) else None,
            undo=f"{here}:undo" if request.state in UNDOABLE else None,
        )

    def steps(self, steps: Iterable[Step], rows: Iterable[StepRow], attempts: Iterable[AttemptRow]) -> list[StepShape]:
        """The steps in the order given, each with its attempts."""
        row_of = {row.path: row for row in rows}
        attempts_of = defaultdict(list)
        for attempt in attempts:
            attempts_of[attempt.path].append(_attempt(attempt))
        shapes = []
        for step in steps:
            row = row_of.get(step.path)
            shapes.append(
                StepShape(
                    path=step.path,
                    title=self._text(step.title) or step.path,
                    state=row.state.value if row else PENDING,
                    message=row.message if row else "",
                    started=row.started if row else None,
                    ended=row.ended if row else None,
                    attempts=attempts_of[step.path],
                )
            )
        return shapes

    def outputs(self, request: RequestRow, plan: Plan) -> list[OutputShape]:
        """What the requester gets, as far as it is there."""
        if request.outputs is None:
            return []
        values = cast(Mapping[str, Mapping[str, JsonValue]], request.outputs.public)
        return [
            OutputShape(
                name=output.name,
                title=self._text(output.title) or output.name,
                value=values[output.name]["value"],
                url=cast(str | None, values[output.name].get("url")),
                secret=output.secret,
            )
            for output in plan.outputs
            if output.name in values
        ]

    def _text(self, texts: Mapping[str, str]) -> str:
        return text_in(texts, self._language)


def _attempt(row: AttemptRow) -> AttemptShape:
    return AttemptShape(
        number=row.attempt,
        started=row.started,
        ended=row.ended,
        outcome=row.outcome,
        error_class=row.error_class,
        error_code=row.error_code,
        message=row.message,
        touched=row.touched,
    )


def _correction(row: CorrectionRow) -> CorrectionShape:
    before, after = (cast(dict[str, JsonValue], one.public) for one in (row.before, row.inputs))
    changes = {name: InputChange(before=before.get(name), after=after.get(name)) for name in row.changed}
    return CorrectionShape(
        state=row.state, actor=row.actor, why=row.why, asked=row.asked, settled=row.settled, changes=changes
    )


def _touch(touch: Touch) -> TouchShape:
    return TouchShape(
        kind=touch.kind,
        step=touch.path,
        item=touch.item_key,
        actor=touch.actor,
        team=touch.team,
        started=touch.started,
        ended=touch.ended,
        minutes=touch.minutes,
        label=touch.label,
        why=touch.why,
    )


def _hold(hold: Hold, request: RequestRow) -> HoldShape:
    return HoldShape(
        cause=hold.cause,
        since=request.state_since,
        steps=[
            HeldStepShape(
                step=one.path,
                item=one.item_key,
                label=one.label,
                state=one.state.value,
                message=one.message,
                choices=[choice.value for choice in one.choices],
            )
            for one in hold.steps
        ],
        choices=[choice.value for choice in hold.choices],
        assigned=AssignedShape(team=hold.team, person=hold.assignee),
    )


def _lock(one: OwnLock) -> OwnLockShape:
    assert one.lock.asked is not None, "it stands in the queue"
    behind = one.behind
    return OwnLockShape(
        name=one.lock.name,
        asked=one.lock.asked,
        held_since=one.lock.held_since,
        number=one.lock.number,
        waiting_behind=None if behind is None else LockAhead(request=behind.request_id, held_since=behind.held_since),
    )


def _effect(row: EffectRow) -> EffectShape:
    return EffectShape(
        path=row.path,
        item=row.item_key,
        action=row.action,
        state=row.state,
        outcome=row.outcome,
        opened=row.opened,
        closed=row.closed,
    )


def _undo(row: UndoRow) -> UndoShape:
    return UndoShape(
        ends_as=row.ends_as,
        asked_by=row.actor,
        asked=row.asked,
        why=row.why,
        leave=row.leaves,
        left_over=[
            LeftOverShape(
                path=one.path,
                item=one.item_key,
                name=one.what,
                action=one.action,
                outcome=one.outcome,
                why=one.why,
            )
            for one in row.left_over
        ],
    )


def _person(person: Person) -> PersonShape:
    return PersonShape(id=person.id, name=person.name)


def _source(request: RequestRow) -> SourceShape | None:
    if request.source_system is None or request.source_id is None:
        return None
    return SourceShape(system=request.source_system, id=request.source_id, url=request.source_url)
