"""The errors of the application layer; each message says what, where, why and what to do. Nothing here prints."""


class OrderlyError(Exception):
    """Anything a user or operator can do something about."""


class SettingsError(OrderlyError):
    """The settings cannot be used; nothing was started."""


class RequestRefused(OrderlyError):
    """An order that is not accepted: nothing of it was recorded."""


class UnknownModel(RequestRefused):
    """The catalogue has no such model."""

    def __init__(self, model: str, suggestions: tuple[str, ...] = ()) -> None:
        hint = f" Did you mean {' or '.join(suggestions)}?" if suggestions else ""
        super().__init__(f"There is no request model {model!r} in the catalogue.{hint}")
        self.model = model
        self.suggestions = suggestions


class InvalidInputs(RequestRefused):
    """Inputs that the model's schema does not allow; `problems` has one entry for each, with its JSON pointer."""

    def __init__(self, model: str, problems: "tuple[InputFault, ...]") -> None:
        count = f"{len(problems)} inputs are" if len(problems) > 1 else "One input is"
        super().__init__(f"{count} not as the model {model!r} asks.")
        self.model = model
        self.problems = problems


class NotEligible(RequestRefused):
    """The model is not for this requester, or this user; `rule` is its condition, `otherwise` what the model says."""

    def __init__(self, model: str, who: str, rule: str, otherwise: str = "") -> None:
        said = f" {otherwise}" if otherwise else ""
        super().__init__(f"The model {model!r} is not for this {who}: `{rule}` is not met.{said}")
        self.model = model
        self.who = who
        self.rule = rule


class InputFault:
    """One thing wrong with the inputs: where (JSON pointer below the inputs), a stable code, and a message."""

    __slots__ = ("code", "message", "pointer")

    def __init__(self, pointer: str, code: str, message: str) -> None:
        self.pointer = pointer
        self.code = code
        self.message = message


class IdempotencyMismatch(RequestRefused):
    """An Idempotency-Key that came before with another body."""

    def __init__(self, key: str) -> None:
        super().__init__(
            f"The Idempotency-Key {key!r} was used before with another body. Send the first body again to get its "
            "answer, or use a new key for a new request."
        )
        self.key = key


class OrderedBefore(IdempotencyMismatch):
    """An order for a ticket that has ordered the same model before, with other inputs or for somebody else."""

    def __init__(self, model: str, request_id: str) -> None:
        RequestRefused.__init__(
            self,
            f"The ticket in `source` has ordered {model!r} before, as request {request_id}, with other inputs or for "
            "somebody else. To order once more from the same ticket, send an Idempotency-Key of its own.",
        )
        self.key = ""
        self.request_id = request_id


class RequestNotFound(OrderlyError):
    """No such request, or it is not the caller's to see; the two look the same on purpose."""

    def __init__(self, request_id: str) -> None:
        super().__init__(f"There is no request {request_id!r} that you may see.")
        self.request_id = request_id


class TaskNotFound(OrderlyError):
    """No such task, or it is not the caller's to see; the two look the same on purpose."""

    def __init__(self, task_id: str) -> None:
        super().__init__(f"There is no task {task_id!r} that you may see.")
        self.task_id = task_id


class TaskClosed(OrderlyError):
    """The task is not open any more."""

    def __init__(self, task_id: str, state: str, by: str | None) -> None:
        super().__init__(f"The task {task_id} is {state}{f', by {by}' if by else ''}; nothing is to be done any more.")
        self.task_id = task_id


class CannotAsk(RequestRefused):
    """An approval that the model wants cannot be asked: nobody may decide it, or its words cannot be made."""


class ApprovalNotFound(OrderlyError):
    """No such approval, or it is not the caller's to see; the two look the same on purpose."""

    def __init__(self, approval_id: str) -> None:
        super().__init__(f"There is no approval {approval_id!r} that you may see.")
        self.approval_id = approval_id


class ApprovalClosed(OrderlyError):
    """The approval is not open any more."""

    def __init__(self, approval_id: str, state: str, by: str) -> None:
        said = f", by {by}" if by else ""
        super().__init__(f"The approval {approval_id} is {state}{said}; nothing is to be decided any more.")
        self.approval_id = approval_id


class OtherDigest(OrderlyError):
    """The decision names another digest than that of what would be done now."""

    def __init__(self, named: str, now: str) -> None:
        super().__init__(
            f"You decided on {named[:12]}..., but what would be done now is {now[:12]}.... Look again, then decide."
        )


class MayNotDecide(OrderlyError):
    """The caller may not decide this approval; the message says by which rule."""


class InvalidResult(OrderlyError):
    """What a person gave as the result of a task or step is not of the type it must have."""

    def __init__(self, problems: "tuple[InputFault, ...]") -> None:
        super().__init__("The result is not of the type it must have.")
        self.problems = problems


class ChangedMeanwhile(OrderlyError):
    """Somebody changed it since the caller looked."""

    def __init__(self, what: str, seen: int, now: int) -> None:
        super().__init__(f"{what} was changed since you looked: version {seen} is now {now}. Look again, then decide.")


class NotPossible(OrderlyError):
    """The model, or what was done so far, does not allow this for this step; the message says why, and what does."""


class NotAllowed(OrderlyError):
    """The caller lacks a scope."""

    def __init__(self, scope: str) -> None:
        super().__init__(f"This needs the scope {scope!r}, which your key or token does not have.")
        self.scope = scope


class WrongState(OrderlyError):
    """The request is in a state in which this cannot be done."""

    def __init__(self, request_id: str, state: str, what: str, allowed: tuple[str, ...], hint: str = "") -> None:
        said = f"Request {request_id} is {state}; {what} is possible only when it is {' or '.join(allowed)}. {hint}"
        super().__init__(said.rstrip())
        self.request_id = request_id
        self.state = state
        self.allowed = allowed
