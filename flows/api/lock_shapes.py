"""The wire shapes of locks."""

from datetime import datetime

from pydantic import Field

from flows.api.shape_bases import Out


class LockAhead(Out):
    """The request that has a lock, or is to have it, before another."""

    request: str
    held_since: datetime | None = Field(description="Null: it does not hold it yet, but its turn comes first.")


class OwnLockShape(Out):
    """A lock of a request: held, or waited for."""

    name: str
    asked: datetime = Field(description="When it came to its place in the queue.")
    held_since: datetime | None = Field(None, description="Null while it waits.")
    number: int | None = Field(None, description="Fencing number: whoever takes the lock later has a higher one.")
    waiting_behind: LockAhead | None = Field(
        None, description="Null where it is held, and where only another lock of the request is waited for."
    )


class LockStanding(Out):
    """A request that holds a lock or waits for it."""

    request: str
    model: str
    state: str
    asked: datetime
    held_since: datetime | None = None
    number: int | None = None


class LockShape(Out):
    """A lock with those that hold it, and those that wait for it, the next first."""

    name: str
    held_by: list[LockStanding] = Field(description="One, and those that it ordered.")
    waiting: list[LockStanding]


class LockList(Out):
    """The locks that are held or waited for, by name."""

    items: list[LockShape]
    more: bool = Field(description="Whether there are more than are shown.")
