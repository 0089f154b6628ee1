"""Errors of AWS, sorted."""

import pytest
from botocore import exceptions as errors
from botocore.parsers import ResponseParserError

from connectors.aws.failures import Place, as_failure
from request_models.actions import ActionFailed, EffectClass, ErrorClass

PLACE = Place("s3.create_bucket", "eu-west-1", "data")


def answer(code: str, status: int, message: str = "No.") -> errors.ClientError:
    return errors.ClientError(
        {
            "Error": {"Code": code, "Message": message},
            "ResponseMetadata": {"HTTPStatusCode": status, "RequestId": "R1"},
        },
        "CreateBucket",
    )


def sort(
    error: Exception, effect: EffectClass = EffectClass.NOT_REPEATABLE, own: dict[str, ErrorClass] | None = None
) -> ActionFailed:
    return as_failure(error, PLACE, effect, own_codes=own or {}, secrets=["hunter22"])


@pytest.mark.parametrize(
    ("code", "status", "expected"),
    [
        ("Throttling", 400, ErrorClass.TRANSIENT),
        ("SlowDown", 503, ErrorClass.TRANSIENT),
        ("ServiceUnavailable", 503, ErrorClass.TRANSIENT),
        ("RequestLimitExceeded", 503, ErrorClass.TRANSIENT),
        ("AnythingElse", 429, ErrorClass.TRANSIENT),
        ("OperationAborted", 409, ErrorClass.TRANSIENT),
        ("ExpiredToken", 400, ErrorClass.TRANSIENT),
        ("InsufficientInstanceCapacity", 500, ErrorClass.TRANSIENT),
        ("AccessDenied", 403, ErrorClass.PERMANENT),
        ("InvalidSignatureException", 400, ErrorClass.PERMANENT),
        ("IncompleteSignature", 400, ErrorClass.PERMANENT),
        ("RequestTimeTooSkewed", 403, ErrorClass.PERMANENT),
        ("MissingAuthenticationToken", 400, ErrorClass.PERMANENT),
        ("IdempotentParameterMismatch", 400, ErrorClass.UNKNOWN),
        ("UnauthorizedOperation", 403, ErrorClass.PERMANENT),
        ("LimitExceeded", 409, ErrorClass.PERMANENT),
        ("ServiceQuotaExceededException", 402, ErrorClass.PERMANENT),
        ("BucketAlreadyExists", 409, ErrorClass.REJECTED),
        ("ValidationException", 400, ErrorClass.REJECTED),
        ("NoSuchEntity", 404, ErrorClass.REJECTED),
        ("InternalError", 500, ErrorClass.UNKNOWN),
        ("GatewayTimeout", 504, ErrorClass.UNKNOWN),
    ],
)
def test_an_answer_is_sorted_by_code_and_status(code: str, status: int, expected: ErrorClass) -> None:
    failure = sort(answer(code, status))
    assert failure.error_class is expected
    assert failure.code == code


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (errors.ConnectTimeoutError(endpoint_url="https://x"), ErrorClass.TRANSIENT),
        (errors.EndpointConnectionError(endpoint_url="https://x"), ErrorClass.TRANSIENT),
        (errors.ProxyConnectionError(proxy_url="https://x"), ErrorClass.TRANSIENT),
        (errors.CredentialRetrievalError(provider="sso", error_msg="x"), ErrorClass.TRANSIENT),
        (errors.SSLError(endpoint_url="https://x", error="x"), ErrorClass.PERMANENT),
        (errors.NoCredentialsError(), ErrorClass.PERMANENT),
        (errors.NoRegionError(), ErrorClass.PERMANENT),
        (errors.ParamValidationError(report="x"), ErrorClass.REJECTED),
        (errors.ReadTimeoutError(endpoint_url="https://x"), ErrorClass.UNKNOWN),
        (errors.ConnectionClosedError(endpoint_url="https://x"), ErrorClass.UNKNOWN),
        (errors.ResponseStreamingError(error="x"), ErrorClass.UNKNOWN),
        (errors.IncompleteReadError(actual_bytes=1, expected_bytes=2), ErrorClass.UNKNOWN),
        (ResponseParserError("no XML"), ErrorClass.UNKNOWN),
        (ConnectionResetError("gone"), ErrorClass.UNKNOWN),
    ],
)
def test_what_never_left_is_known_and_what_was_not_answered_is_not(error: Exception, expected: ErrorClass) -> None:
    assert sort(error).error_class is expected


UNANSWERED = [answer("InternalError", 500), errors.ReadTimeoutError(endpoint_url="https://x")]


@pytest.mark.parametrize("error", UNANSWERED)
def test_an_unanswered_read_is_transient(error: Exception) -> None:
    assert sort(error, EffectClass.READ_ONLY).error_class is ErrorClass.TRANSIENT


@pytest.mark.parametrize("effect", sorted(set(EffectClass) - {EffectClass.READ_ONLY}))
@pytest.mark.parametrize("error", UNANSWERED)
def test_an_unanswered_call_is_unknown_even_where_it_may_be_sent_again(error: Exception, effect: EffectClass) -> None:
    """Transient would mean that there was no effect: the next call would get a new token, and do it twice."""
    failure = sort(error, effect)
    assert failure.error_class is ErrorClass.UNKNOWN
    assert ("sending exactly the same again is safe" in str(failure)) is (
        effect in {EffectClass.IDEMPOTENT, EffectClass.TAKES_TOKEN}
    )


def test_a_line_of_effects_sorts_its_own_codes() -> None:
    assert sort(answer("Busy", 400), own={"Busy": ErrorClass.TRANSIENT}).error_class is ErrorClass.TRANSIENT


def test_the_message_says_what_where_why_and_what_to_do() -> None:
    message = str(sort(answer("BucketAlreadyExists", 409, "The name is\n taken.")))
    assert message == (
        "aws.s3.create_bucket (eu-west-1, account data): BucketAlreadyExists: The name is taken. (request id R1). "
        "Nothing was changed; correct what was asked for."
    )


def test_a_secret_that_aws_quotes_is_not_repeated() -> None:
    assert "hunter22" not in str(sort(answer("ValidationError", 400, "Value 'hunter22' at 'password' is too short")))
