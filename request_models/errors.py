"""The errors of reading, compiling and rendering models. Messages are built from typed fields; nothing here prints."""


class RequestModelsError(Exception):
    """The root of this package's errors."""


class ExpressionSyntaxError(RequestModelsError):
    """An expression or text that is not in the published subset of Jinja2, with what to write instead in `hint`.

    `part` is the text in the source that is at fault, empty when it is the whole.
    """

    def __init__(self, why: str, source: str, *, hint: str = "", part: str = "") -> None:
        super().__init__(f"{why} (in `{_short(source)}`)")
        self.why = why
        self.source = source
        self.hint = hint
        self.part = part


class ExpressionError(RequestModelsError):
    """An expression that could not be evaluated with the values given. The message never holds a value."""

    def __init__(self, message: str, source: str) -> None:
        super().__init__(f"{message} (in `{_short(source)}`)")
        self.message = message
        self.source = source


class DurationError(RequestModelsError, ValueError):
    """A text that is not an ISO 8601 duration of weeks, days, hours, minutes and seconds."""

    def __init__(self, text: str) -> None:
        super().__init__(
            f"`{_short(text)}` is not a duration: write weeks, days, hours, minutes and seconds as in P2D, PT15M or "
            "P1DT12H (months and years have no fixed length)"
        )
        self.text = text


class TypeRuleError(RequestModelsError):
    """An operation that does not exist for the types it is given; `hint` says what to write instead."""

    def __init__(self, why: str, *, hint: str = "") -> None:
        super().__init__(why)
        self.why = why
        self.hint = hint


class PlanFormatError(RequestModelsError):
    """A stored plan that this version cannot read."""


class CalendarError(RequestModelsError):
    """A calendar that cannot answer: too little open time is to come, or its stored form cannot be read."""

    def __init__(self, calendar: str, why: str) -> None:
        super().__init__(f"the calendar `{_short(calendar)}` {why}")
        self.calendar = calendar
        self.why = why


class SchemaTranslationError(RequestModelsError):
    """A JSON Schema that has no counterpart among our value types; `pointer` says where in the schema."""

    def __init__(self, pointer: str, why: str) -> None:
        super().__init__(f"{pointer or '/'}: {why}")
        self.pointer = pointer
        self.why = why


def _short(text: str) -> str:
    return text if len(text) <= 120 else f"{text[:117]}..."
