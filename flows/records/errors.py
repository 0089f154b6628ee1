"""What can go wrong with the records; each message says what, where, why and what to do."""


class RecordsError(Exception):
    """Any error of the records."""


class RecordsUnavailable(RecordsError):
    """The database cannot be reached, is not migrated, or refused to work; nothing is known to have been written.

    After a lost connection a commit may or may not have happened: read again before repeating.
    """


class RecordsBusy(RecordsUnavailable):
    """Somebody else holds a lock, or the database ended this transaction in favour of another; nothing was written.

    `Records.run` rides it out; it reaches a caller only when the patience is used up.
    """


class SchemaMismatch(RecordsUnavailable):
    """The tables are older or newer than this version of Orderly."""

    def __init__(self, found: str | None, wanted: str) -> None:
        if found is None:
            what = "The records have no tables yet."
        else:
            what = f"The records have the tables of revision {found}, this version of Orderly works with {wanted}."
        super().__init__(f"{what} Let one process of the newest version in use migrate them, then start again.")
        self.found = found
        self.wanted = wanted


class NotFound(RecordsError):
    """There is no such row."""

    def __init__(self, kind: str, key: str) -> None:
        super().__init__(f"There is no {kind} {key!r} in the records.")
        self.kind = kind
        self.key = key


class Conflict(RecordsError):
    """The row is there already, or is no longer what the write supposed; read again, then decide."""


class IllegalTransition(Conflict):
    """A change of state that the table of states does not know (design section 2)."""

    def __init__(self, kind: str, key: str, from_state: str, to_state: str) -> None:
        super().__init__(f"The {kind} {key} is {from_state} and cannot become {to_state}.")
        self.kind = kind
        self.key = key
        self.from_state = from_state
        self.to_state = to_state


class ClaimLost(RecordsError):
    """The writer's claim on the request is stale: another process runs it (invariant 2).

    Whoever gets this writes nothing more, reports nothing and exits.
    """

    def __init__(self, request_id: str, epoch: int, why: str) -> None:
        super().__init__(f"Claim {epoch} on request {request_id} is lost: {why}. This process must stop.")
        self.request_id = request_id
        self.epoch = epoch
        self.why = why


class InvalidCursor(RecordsError, ValueError):
    """A page cursor that these records did not make."""

    def __init__(self) -> None:
        super().__init__("The cursor is not one this service gave; start again without a cursor.")


class TooLong(RecordsError, ValueError):
    """A name that a row is found by is longer than both databases can index."""

    def __init__(self, length: int, limit: int) -> None:
        super().__init__(f"A name of {length} bytes cannot be a key of the records; at most {limit} can.")
        self.length = length
        self.limit = limit


class KeyringError(RecordsError):
    """The keyring cannot be read, is open to others, or lacks the key that sealed a value."""


class SealBroken(RecordsError):
    """A sealed value does not open: it was altered, or moved to another request or field."""
