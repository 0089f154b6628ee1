"""Kinds of outbox rows."""

from typing import Final

DISPATCH: Final = "dispatch"
"""Start a flow run for the request."""

RETRY: Final = "retry"
"""Wake the flow run it has."""

SUPERSEDED: Final = "superseded"
"""A flow run has nothing more to do; its id is the payload's `flow_run_id`."""

APPROVAL_NOTICE: Final = "approval_notice"
"""Those who are asked to decide are to be told; the payload names the approval, the seats and the occasion."""

APPROVAL_MAIL: Final = "approval_mail"
"""One mail to one of them; the payload names the link that goes with it."""

WAKE: Final = "wake"
"""Something that the request may wait for has come: let it go on as soon as it waits."""
