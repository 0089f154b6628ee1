"""The scopes there are: what a caller may do. Each has what it is for, for people who give them."""

from collections.abc import Mapping

SCOPES: Mapping[str, str] = {
    "catalogue:read": "See what can be ordered.",
    "requests:create": "Order for oneself.",
    "requests:read": "See one's own requests.",
    "requests:read:all": "See everybody's requests.",
    "requests:act": "Retry, fix, complete, skip, undo, cancel and assign requests that one may see.",
    "requests:for-others": "Order for other people.",
    "approvals:decide": "Decide on approvals that one is asked for.",
    "tasks:read": "See one's own and one's teams' tasks.",
    "tasks:act": "Complete and hand over one's own and one's teams' tasks.",
    "tasks:act:all": "Complete and hand over everybody's tasks.",
    "events:send": "Tell of events that requests wait for.",
    "webhooks:manage": "Say where updates are sent.",
    "admin": "All of it.",
}
