"""Approvals as wire shapes. What is secret is null in the rows already and is never revealed here."""

from typing import cast

from flows.api.approval_shapes import (
    ApprovalLinks,
    ApprovalOutline,
    ApprovalShape,
    ApprovedInput,
    ApprovedRequest,
    ApprovedStep,
    DecisionShape,
    SeatShape,
)
from flows.api.languages import text_in
from flows.approvals import ShownApproval
from flows.records.approval_rows import ApprovalState
from request_models.json_values import JsonValue


def approval_outline(shown: ShownApproval, base_url: str) -> ApprovalOutline:
    """An approval as its request shows it."""
    row = shown.row
    here, is_open = f"{base_url}/v1/approvals/{row.id}", row.state is ApprovalState.OPEN
    return ApprovalOutline(
        id=row.id,
        approval=row.approval,
        state=row.state,
        before=shown.approval.before,
        quorum=row.quorum,
        asked=row.asked,
        due=row.due,
        decided=row.decided,
        reason=row.reason,
        asked_of=[
            SeatShape(who=seat.who, origin=seat.origin, kind=seat.kind.value, asked=seat.since) for seat in shown.seats
        ],
        decisions=[
            DecisionShape(
                approver=one.approver,
                decision=one.decision,
                as_=one.seat,
                via=one.via,
                asked=one.asked,
                decided=one.decided,
                reason=one.reason,
            )
            for one in shown.decisions
        ],
        links=ApprovalLinks(
            self=here,
            request=f"{base_url}/v1/requests/{row.request_id}",
            approve=f"{here}:approve" if is_open else None,
            reject=f"{here}:reject" if is_open else None,
            delegate=f"{here}:delegate" if is_open else None,
        ),
    )


def approval_shape(shown: ShownApproval, base_url: str, language: str | None) -> ApprovalShape:
    """An approval with all that its approver is to see."""
    row, request, plan = shown.row, shown.request, shown.plan
    outline = approval_outline(shown, base_url)
    return ApprovalShape(
        **{name: getattr(outline, name) for name in ApprovalOutline.model_fields},
        message=row.message.public if isinstance(row.message.public, str) else None,
        digest=row.digest,
        plan_digest=request.plan_digest,
        decidable=shown.decidable,
        request=ApprovedRequest(
            id=request.id,
            model=request.model,
            title=text_in(plan.title, language),
            state=request.state.value,
            requester=request.requester.id,
            user=request.requested_for.id,
            submitted=request.submitted,
        ),
        inputs=[
            ApprovedInput(
                name=one.name,
                title=text_in(one.titles, language) or one.name,
                value=one.value,
                words=one.words,
                secret=one.secret,
            )
            for one in shown.inputs
        ],
        values={} if request.values is None else cast(dict[str, JsonValue], request.values.public),
        facts=dict(shown.facts),
        steps=[
            ApprovedStep(
                path=step.path,
                title=text_in(step.title, language) or step.path,
                action=step.uses,
                when=None if step.when is None else step.when.source,
                for_each=None if step.loop is None else step.loop.items.source,
            )
            for step in shown.steps
        ],
        version=row.version,
    )
