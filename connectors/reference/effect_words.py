"""What each effect class means for who writes and who operates a model."""

from collections.abc import Mapping

from request_models.actions import EffectClass

REPEATING: Mapping[EffectClass, str] = {
    EffectClass.READ_ONLY: "It changes nothing, so it is simply called again, and it may be polled.",
    EffectClass.IDEMPOTENT: "Two calls leave what one leaves, so the very same call is made again.",
    EffectClass.TAKES_TOKEN: "The very same call is made again with the same token, by which the system knows it, for "
    "as long as the token is remembered; after that the request is held for a person.",
    EffectClass.HAS_PROBE: "It is not called again blindly: Orderly looks whether the effect is there. What is this "
    "request's own is taken as done, what is surely not there is called again, and all else is held for a person.",
    EffectClass.NOT_REPEATABLE: "It is never called again by itself: the request is held, and a person says what "
    "became of the call.",
}
"""What happens after a call of which nobody knows whether it had its effect, as when the process was killed."""
