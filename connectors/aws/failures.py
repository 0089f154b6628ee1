"""What went wrong with a call to AWS, sorted: transient, permanent, rejected or unknown.

What a 5xx answer or a lost connection means depends on the operation: where repeating is harmless it is transient, and
otherwise nobody can tell whether there was an effect.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from botocore import exceptions as botocore_errors
from botocore.parsers import ResponseParserError

from request_models.actions import ActionFailed, EffectClass, ErrorClass

REPEATABLE = frozenset({EffectClass.READ_ONLY, EffectClass.IDEMPOTENT, EffectClass.TAKES_TOKEN})
"""Effect classes whose calls may be sent again when nobody knows whether the first one arrived."""

TURNED_AWAY = frozenset(
    {
        # Throttling: the request was counted and thrown away (botocore/retries/standard.py holds the same names).
        "BandwidthLimitExceeded",
        "EC2ThrottledException",
        "PriorRequestNotComplete",
        "ProvisionedThroughputExceeded",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "SlowDown",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequests",
        "TooManyRequestsException",
        "TransactionInProgressException",
        # Too busy to take it.
        "ServiceUnavailable",
        "ServiceUnavailableException",
        "Unavailable",
        # Something else is changing the same thing; AWS says to try again.
        "ConcurrentModification",
        "ConcurrentModificationException",
        "ConditionalRequestConflict",
        "EntityTemporarilyUnmodifiable",
        "OperationAborted",
        "ResourceNotReadyException",
        "TransactionConflictException",
        # The body did not arrive in time, so nothing was done with it.
        "RequestTimeout",
        # Temporary credentials ran out; the next call fetches new ones.
        "ExpiredToken",
        "ExpiredTokenException",
        "RequestExpired",
    }
)
NOT_ALLOWED = frozenset(
    {
        "AccessDenied",
        "AccessDeniedException",
        "AuthFailure",
        "AuthorizationError",
        "Blocked",
        "Forbidden",
        "ForbiddenException",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "NotAuthorized",
        "OptInRequired",
        "SignatureDoesNotMatch",
        "UnauthorizedException",
        "UnauthorizedOperation",
        "UnrecognizedClientException",
    }
)
QUOTA = frozenset(
    {
        "InstanceLimitExceeded",
        "LimitExceeded",
        "LimitExceededException",
        "QuotaExceededException",
        "ServiceQuotaExceeded",
        "ServiceQuotaExceededException",
        "TooManyBuckets",
        "VcpuLimitExceeded",
    }
)
_ANSWER_NOT_UNDERSTOOD = (
    botocore_errors.HTTPClientError,
    botocore_errors.IncompleteReadError,
    botocore_errors.ChecksumError,
    botocore_errors.FlexibleChecksumError,
    botocore_errors.PaginationError,
    ResponseParserError,
)
"""Raised after the request was sent, while its answer is waited for or read."""

WORLD_ERRORS = (botocore_errors.BotoCoreError, botocore_errors.ClientError, ResponseParserError, OSError)
"""What the world does wrong. Anything else is a mistake of ours, and is not dressed up as a failed call."""

_ADVICE = {
    ErrorClass.TRANSIENT: "It may succeed when tried again, and repeating it is safe.",
    ErrorClass.REJECTED: "Nothing was changed; correct what was asked for.",
    ErrorClass.PERMANENT: "Nothing was changed; trying again will not help until this is mended.",
    ErrorClass.UNKNOWN: "Whether it had an effect is not known: look in AWS before anything is repeated.",
}


@dataclass(frozen=True)
class Place:
    """Where a call was made, in words: `s3.create_bucket`, the region, and the account's name when there is one."""

    operation: str
    region: str
    account: str | None = None

    def __str__(self) -> str:
        account = "" if self.account is None else f", account {self.account}"
        return f"aws.{self.operation} ({self.region}{account})"


def error_code(error: Exception) -> str:
    """AWS's own code (`NoSuchBucket`), or the name of botocore's exception."""
    if isinstance(error, botocore_errors.ClientError):
        return str(error.response.get("Error", {}).get("Code") or "Unknown")
    return type(error).__name__


def as_failure(
    error: Exception, place: Place, effect: EffectClass, *, own_codes: Mapping[str, ErrorClass], secrets: Iterable[str]
) -> ActionFailed:
    """The failure of a call: sorted, told in words, and without the values in `secrets`, which AWS may quote."""
    code = error_code(error)
    if isinstance(error, botocore_errors.ClientError):
        error_class = own_codes.get(code) or _class_of_answer(code, _status(error), effect)
        said = _answer_in_words(error)
    else:
        error_class = own_codes.get(code) or _class_of_exception(error, effect)
        said = " ".join(str(error).split())
    message = _without(f"{place}: {code}: {said.rstrip('.')}. {_ADVICE[error_class]}", secrets)
    return ActionFailed(message, error_class=error_class, code=code)


def _class_of_answer(code: str, status: int, effect: EffectClass) -> ErrorClass:
    if code in TURNED_AWAY or status == 429:
        return ErrorClass.TRANSIENT
    if code in NOT_ALLOWED or code in QUOTA or status in {401, 402, 403}:
        return ErrorClass.PERMANENT
    if status >= 500 or status == 408:
        return _when_unanswered(effect)
    return ErrorClass.REJECTED


def _class_of_exception(error: Exception, effect: EffectClass) -> ErrorClass:
    match error:
        case botocore_errors.SSLError():
            return ErrorClass.PERMANENT
        case botocore_errors.ConnectionError() | botocore_errors.CredentialRetrievalError():
            # No connection, so nothing was sent. A read timeout is no ConnectionError in botocore.
            return ErrorClass.TRANSIENT
        case botocore_errors.MetadataRetrievalError() | botocore_errors.TokenRetrievalError():
            return ErrorClass.TRANSIENT
        case botocore_errors.ParamValidationError() | botocore_errors.ValidationError():
            return ErrorClass.REJECTED
        case _ if isinstance(error, _ANSWER_NOT_UNDERSTOOD):
            return _when_unanswered(effect)
        case botocore_errors.BotoCoreError():
            # Regions, profiles, credentials, endpoints: found out before anything is sent.
            return ErrorClass.PERMANENT
        case _:
            return _when_unanswered(effect)


def _when_unanswered(effect: EffectClass) -> ErrorClass:
    return ErrorClass.TRANSIENT if effect in REPEATABLE else ErrorClass.UNKNOWN


def _status(error: botocore_errors.ClientError) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") or 0)


def _answer_in_words(error: botocore_errors.ClientError) -> str:
    message = " ".join(str(error.response.get("Error", {}).get("Message") or "no message").split())
    request_id = error.response.get("ResponseMetadata", {}).get("RequestId")
    return message if not request_id else f"{message} (request id {request_id})"


def _without(message: str, secrets: Iterable[str]) -> str:
    for secret in sorted({secret for secret in secrets if secret}, key=len, reverse=True):
        message = message.replace(secret, "***")
    return message
