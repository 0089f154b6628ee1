"""Only what reads is looked at again and again, and not for ever."""

from collections.abc import Iterator

from request_models.actions import EffectClass
from request_models.durations import parse_duration
from request_models.engine_actions import ENGINE_SPECS
from request_models.findings import Finding
from request_models.resolved import Resolved, ResolvedCall
from request_models.step_documents import PollingDocument


def check(resolved: Resolved) -> Iterator[Finding]:
    """`poll-not-read-only`, `poll-endless`, `poll-option`, `poll-once`, `poll-timeout`."""
    for call in resolved.calls:
        if isinstance(call.document, PollingDocument):
            yield from _polling(call, call.document)


def _polling(call: ResolvedCall, document: PollingDocument) -> Iterator[Finding]:
    if document.until is None:
        for key in ("not_yet", "fails", "every", "within"):
            if key in document.model_fields_set:
                hint = "add `until`"
                if key == "within":
                    hint = "`timeout` bounds one attempt" if call.uses not in ENGINE_SPECS else "write it under `with`"
                message = f"`{key}` is of polling, but there is no `until`"
                yield Finding((*call.path, key), "poll-option", message, hint, on_key=True)
        return
    if call.spec is not None and (call.spec.effect is not EffectClass.READ_ONLY or call.uses in ENGINE_SPECS):
        message = f"`until` calls again and again, but `{call.spec.name}` is not made for that: it does not only read"
        hint = "let a step of its own do it, and poll with an action that reads"
        yield Finding((*call.path, "until"), "poll-not-read-only", message, hint, on_key=True)
    if document.within is None:
        message = "polling needs an end: nothing waits for ever"
        yield Finding((*call.path, "until"), "poll-endless", message, "write `within: PT10M`", on_key=True)
        return
    if document.timeout is not None and parse_duration(document.timeout) > parse_duration(document.within):
        message = "one look may take longer than polling altogether"
        yield Finding((*call.path, "timeout"), "poll-timeout", message, "a shorter timeout, or a longer `within`")
    if document.every is not None and parse_duration(document.every) >= parse_duration(document.within):
        message = "the pause between two looks is as long as polling may take: there would be one look"
        yield Finding((*call.path, "every"), "poll-once", message, "look more often, or allow more time")
