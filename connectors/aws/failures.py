"""What went wrong with a call to AWS, sorted: transient, permanent, rejected or unknown.

After a 5xx answer or a lost connection nobody can tell whether there was an effect, unless the operation only reads.
Whether it may be sent again is not said here: execution knows, by the effect class.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from botocore import exceptions as botocore_errors
from botocore.parsers import ResponseParserError

from request_models.actions import REPEATABLE, ActionFailed, EffectClass, ErrorClass

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
        "InsufficientInstanceCapacity",
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
        "TokenRefreshRequired",
        # EC2's word for the same, and for a clock that is wrong; it cannot be told which.
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
        "MissingAuthenticationToken",
        "MissingAuthenticationTokenException",
        "NotAuthorized",
        "NotAuthorizedException",
        "OptInRequired",
        "UnauthorizedAccess",
        # Keys, signatures and clocks: several services answer 400 to them, so that their status says nothing.
        "IncompleteSignature",
        "IncompleteSignatureException",
        "InvalidSignatureException",
        "InvalidToken",
        "RequestTimeTooSkewed",
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
        "AddressLimitExceeded",
        "MaxSpotInstanceCountExceeded",
        "ResourceLimitExceeded",
        "RouteTableLimitExceeded",
        "RulesPerSecurityGroupLimitExceeded",
        "SecurityGroupLimitExceeded",
        "SubnetLimitExceeded",
        "VolumeLimitExceeded",
        "VpcLimitExceeded",
    }
)
TOKEN_TAKEN = frozenset(
    {
        "IdempotencyException",
        "IdempotencyParameterMismatch",
        "IdempotencyParameterMismatchException",
        "IdempotentParameterMismatch",
        "IdempotentParameterMismatchException",
        "InvalidIdempotencyToken",
        "TokenAlreadyExistsException",
    }
)
"""The token came before, with something else: an effect of that token is there, so it is not proved that nothing is."""

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
_SENT_AGAIN = "Whether it had an effect is not known; sending exactly the same again is safe."


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
    safe = error_class is ErrorClass.UNKNOWN and effect in REPEATABLE and code not in TOKEN_TAKEN
    advice = _SENT_AGAIN if safe else _ADVICE[error_class]
    message = _without(f"{place}: {code}: {said.rstrip('.')}. {advice}", secrets)
    return ActionFailed(message, error_class=error_class, code=code)


def _class_of_answer(code: str, status: int, effect: EffectClass) -> ErrorClass:
    if code in TOKEN_TAKEN:
        return ErrorClass.UNKNOWN
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
    return ErrorClass.TRANSIENT if effect is EffectClass.READ_ONLY else ErrorClass.UNKNOWN


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
