"""HTTP calls to any service: `http.get`, `head`, `post`, `put`, `patch`, `delete`.

What a method promises is RFC 9110's: GET and HEAD change nothing, PUT and DELETE may be repeated, POST and PATCH may
not. These two carry the effect's token as `Idempotency-Key`; they may be repeated where the model says that the service
honours one, and for how long (`honours_key_for`).
"""

import json
import re
import ssl
import time
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import cast
from urllib.parse import urlencode

import httpx

from connectors.fixed import FixedConnector
from connectors.http_interface import KEY_LIFETIME, METHODS, RESULT_TYPE, HttpSettings, Method, arguments_type
from connectors.registry import ConnectorContext
from request_models.actions import (
    REPEATABLE,
    ActionCall,
    ActionFailed,
    ActionResult,
    ActionSpec,
    EffectClass,
    ErrorClass,
    Outcome,
)
from request_models.json_values import JsonValue, NotJsonError, refuse_what_is_not_json

NAME = "http"
KEY_HEADER = "Idempotency-Key"
MAX_REDIRECTS = 5
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e]*")
_OURS = frozenset({"connection", "content-length", "host", "te", "trailer", "transfer-encoding", "upgrade"})
"""Headers that frame the message; a call that sets them could smuggle a second one."""

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_NOT_TAKEN = frozenset({425, 429})
_NOT_ALLOWED = frozenset({401, 402, 403, 407, 451, 501, 505, 511})
_GONE = frozenset({404, 410})
_BEFORE_SENDING = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)
_NEVER_SENDABLE = (httpx.UnsupportedProtocol, httpx.LocalProtocolError)


def connector(settings: Mapping[str, JsonValue], _context: ConnectorContext) -> FixedConnector:
    """Entry point `http`. Raises pydantic.ValidationError for wrong settings."""
    checked = HttpSettings.model_validate(dict(settings))
    tls = ssl.create_default_context()
    return FixedConnector(NAME, [HttpAction(method, checked, tls) for method in METHODS])


class HttpAction:
    """One method. Each call has a client of its own, so that no cookie passes from one request to the next."""

    def __init__(self, method: Method, settings: HttpSettings, tls: ssl.SSLContext) -> None:
        self._method = method
        self._settings = settings
        self._tls = tls
        self._spec = ActionSpec(
            name=f"{NAME}.{method.name}",
            title=f"HTTP {method.name.upper()}",
            arguments=arguments_type(method),
            result=RESULT_TYPE,
            effect=method.effect,
            removes=("url",) if method.name == "delete" else (),
            makes=method.outcome is Outcome.MADE or method.name == "put",
            documentation=f"{method.summary}. An answer of 400 and above is an error, unless any_status is true.",
            lifetime_argument=KEY_LIFETIME if method.takes_key else None,
        )

    @property
    def spec(self) -> ActionSpec:
        return self._spec

    def run(self, call: ActionCall) -> ActionResult:
        """Send the request and read its answer. Raises ActionFailed."""
        return _Exchange(self._method, self._settings, self._tls, call).result()


class _Exchange:
    """One call: the request, the redirects that may be followed, the answer."""

    def __init__(self, method: Method, settings: HttpSettings, tls: ssl.SSLContext, call: ActionCall) -> None:
        self._method = method
        self._settings = settings
        self._tls = tls
        self._call = call
        self._deadline = None if call.timeout_seconds is None else time.monotonic() + call.timeout_seconds
        self._url = self._checked_url(str(call.arguments["url"]))
        self._body, content_type = self._checked_body()
        self._headers = self._checked_headers(content_type)

    def result(self) -> ActionResult:
        try:
            with httpx.Client(verify=self._tls, timeout=self._timeout(), follow_redirects=False) as client:
                return self._followed(client)
        except _NEVER_SENDABLE as error:
            raise self._failed(str(error), ErrorClass.REJECTED, type(error).__name__) from error
        except _BEFORE_SENDING as error:
            kind = ErrorClass.PERMANENT if _is_certificate_problem(error) else ErrorClass.TRANSIENT
            raise self._failed(f"no connection: {error}", kind, type(error).__name__) from error
        except (httpx.HTTPError, httpx.StreamError) as error:
            what = f"the request was sent, but no whole answer came ({type(error).__name__}: {error})"
            raise self._failed(what, self._when_unanswered(), type(error).__name__) from error

    def _followed(self, client: httpx.Client) -> ActionResult:
        url, headers = self._url, self._headers
        for _ in range(MAX_REDIRECTS + 1):
            self._go_on()
            request = client.build_request(
                self._method.name.upper(), url, headers=headers, params=self._query(url), content=self._body
            )
            answer = client.send(request, stream=True)
            try:
                target = self._redirect(answer)
                if target is None:
                    return self._answered(answer)
            finally:
                answer.close()
            # What was sent to one host is not told to another: it may be a password.
            headers = headers if target.host == url.host else self._bare_headers()
            url = target
        raise self._failed(f"more than {MAX_REDIRECTS} redirects", ErrorClass.PERMANENT, "TooManyRedirects")

    def _redirect(self, answer: httpx.Response) -> httpx.URL | None:
        """Where to go on; None when this is the answer. Only reads are redirected: the rest would act elsewhere."""
        policy = self._call.arguments.get("redirects", "same_host")
        location = answer.headers.get("location")
        if answer.status_code not in _REDIRECTS or not location or not self._method.reads or policy == "none":
            return None
        target = self._checked_url(str(answer.url.join(location)))
        if policy == "same_host" and target.host != answer.url.host:
            if self._call.arguments.get("any_status") is True:
                return None
            raise self._failed(
                f"it redirects to the other host {target.host}; give that address, or set redirects to any",
                ErrorClass.REJECTED,
                f"HTTP {answer.status_code}",
            )
        if answer.url.scheme == "https" and target.scheme == "http":
            raise self._failed("it redirects from https to http", ErrorClass.REJECTED, f"HTTP {answer.status_code}")
        return target

    def _answered(self, answer: httpx.Response) -> ActionResult:
        status = answer.status_code
        any_status = self._call.arguments.get("any_status") is True
        if self._method.takes_key and status >= 500 and status not in _NOT_ALLOWED:
            raise self._failed(f"the answer was {_status_line(answer)}", ErrorClass.UNKNOWN, f"HTTP {status}")
        if (status >= 400 or status in _REDIRECTS) and not any_status and not self._is_gone_since(status):
            kind = self._class_of(status)
            raise self._failed(f"the answer was {_status_line(answer)}{self._excerpt(answer)}", kind, f"HTTP {status}")
        result = self._read(answer)
        self._call.log(f"{self._where()}: {_status_line(answer)}")
        return ActionResult(self._outcome(status), result=result)

    def _outcome(self, status: int) -> Outcome:
        """A refused request did nothing, so there is nothing to undo; 201 says that something was made."""
        if 400 <= status < 500 and not self._is_gone_since(status):
            return Outcome.READ
        return Outcome.MADE if status == 201 and not self._method.reads else self._method.outcome

    def _is_gone_since(self, status: int) -> bool:
        """A deletion sent again, since its answer was lost, finds nothing there: that was its aim."""
        return self._method.name == "delete" and self._call.resent and status in _GONE

    def _read(self, answer: httpx.Response) -> dict[str, JsonValue]:
        content, whole = self._content(answer)
        if not whole and self._method.reads:
            raise self._failed(
                f"the answer is longer than {self._settings.max_body_bytes} bytes; ask for less, "
                "or raise connectors.http.max_body_bytes",
                ErrorClass.PERMANENT,
                "AnswerTooLong",
            )
        result: dict[str, JsonValue] = {
            "status": answer.status_code,
            "headers": {name.lower(): value for name, value in answer.headers.items()},
            "text": content.decode(answer.charset_encoding or "utf-8", "replace"),
            "truncated": not whole,
        }
        if whole and "json" in answer.headers.get("content-type", ""):
            result.update(_parsed(content))
        return result

    def _content(self, answer: httpx.Response) -> tuple[bytes, bool]:
        """The answer's body up to the bound, and whether that is all of it."""
        gathered = bytearray()
        for chunk in answer.iter_bytes():
            gathered += chunk
            if len(gathered) > self._settings.max_body_bytes:
                return bytes(gathered[: self._settings.max_body_bytes]), False
            if self._is_over():
                raise self._failed("out of time while the answer was read", self._when_unanswered(), "Timeout")
        return bytes(gathered), True

    def _excerpt(self, answer: httpx.Response) -> str:
        """The beginning of an error's text, which usually says why."""
        if self._call.timeout_seconds is not None and self._is_over():
            return ""
        try:
            content, _ = self._content(answer)
        except httpx.HTTPError:
            return ""
        text = " ".join(content[:2000].decode("utf-8", "replace").split())[:300]
        return f": {_without(text, self._secrets())}" if text else ""

    def _class_of(self, status: int) -> ErrorClass:
        if status in _NOT_TAKEN:
            return ErrorClass.TRANSIENT
        if status in _NOT_ALLOWED:
            return ErrorClass.PERMANENT
        if status >= 500 or status == 408:
            return self._when_unanswered()
        if status == 409 and self._call.resent and KEY_LIFETIME in self._call.arguments:
            return ErrorClass.TRANSIENT  # the request sent before, with the same key, is still being worked on
        return ErrorClass.REJECTED

    def _when_unanswered(self) -> ErrorClass:
        return ErrorClass.TRANSIENT if self._method.reads else ErrorClass.UNKNOWN

    @property
    def _repeatable(self) -> bool:
        promised = KEY_LIFETIME in self._call.arguments
        return (EffectClass.TAKES_TOKEN if promised else self._method.effect) in REPEATABLE

    def _checked_url(self, text: str) -> httpx.URL:
        try:
            url = httpx.URL(text)
        except (httpx.InvalidURL, UnicodeError) as error:
            raise self._refused(f"the address cannot be read: {error}") from error
        if url.scheme not in {"http", "https"} or not url.host:
            raise self._refused("the address must begin with http:// or https:// and name a host")
        if url.port is not None and not 0 < url.port < 65536:
            raise self._refused(f"{url.port} is no port")
        if url.userinfo:
            raise self._refused("the address holds a user or password; send them in a header, where they are not shown")
        allowed = self._settings.allow
        if allowed and not any(fnmatchcase(url.host, pattern.lower()) for pattern in allowed):
            raise self._refused(f"the host {url.host} is not among connectors.http.allow")
        return url

    def _checked_headers(self, content_type: str | None) -> dict[str, str]:
        given = cast(Mapping[str, str], self._call.arguments.get("headers") or {})
        for name, value in given.items():
            if not _HEADER_NAME.fullmatch(name) or name.lower() in _OURS:
                raise self._refused(f"the header {name!r} may not be set")
            if not _HEADER_VALUE.fullmatch(value):
                raise self._refused(
                    f"the value of the header {name} holds line breaks, control or non-ASCII characters"
                )
        usual = self._bare_headers()
        if content_type is not None:
            usual["Content-Type"] = content_type
        if self._method.takes_key:
            usual[KEY_HEADER] = str(self._call.token)
        names = {name.lower() for name in given}
        return {**{name: value for name, value in usual.items() if name.lower() not in names}, **given}

    def _bare_headers(self) -> dict[str, str]:
        return {"User-Agent": "orderly", "Accept-Encoding": "identity"}

    def _query(self, url: httpx.URL) -> httpx.QueryParams | None:
        """The address's own query and the argument's; None after a redirect, whose address says all."""
        given = self._call.arguments.get("query")
        if not isinstance(given, dict) or url != self._url:
            return None
        return url.params.merge(httpx.QueryParams(tuple(_pairs(given))))

    def _checked_body(self) -> tuple[bytes | None, str | None]:
        """What is sent, and its content type."""
        given = [name for name in ("json", "body", "form") if name in self._call.arguments]
        if len(given) > 1:
            raise self._refused(f"give one of {', '.join(given)}, not {len(given)}")
        if not given:
            return None, None
        value = self._call.arguments[given[0]]
        if given[0] == "json":
            return json.dumps(value, ensure_ascii=False, allow_nan=False).encode(), "application/json"
        if given[0] == "form" and isinstance(value, dict):
            return urlencode(list(_pairs(value))).encode(), "application/x-www-form-urlencoded"
        return str(value).encode(), "text/plain; charset=utf-8"

    def _timeout(self) -> httpx.Timeout:
        left = self._call.timeout_seconds
        read = self._settings.timeout if left is None else min(self._settings.timeout, left)
        return httpx.Timeout(read, connect=min(self._settings.connect_timeout, read))

    def _go_on(self) -> None:
        if self._call.cancelled():
            raise self._failed("cancelled before the request was sent", ErrorClass.TRANSIENT, "Cancelled")
        if self._is_over():
            raise self._failed("out of time before the request was sent", ErrorClass.TRANSIENT, "Timeout")

    def _is_over(self) -> bool:
        return self._deadline is not None and time.monotonic() >= self._deadline

    def _refused(self, why: str) -> ActionFailed:
        return ActionFailed(
            f"{NAME}.{self._method.name}: {why}. Nothing was sent.",
            error_class=ErrorClass.REJECTED,
            code="ArgumentRefused",
        )

    def _failed(self, what: str, error_class: ErrorClass, code: str) -> ActionFailed:
        safe = error_class is ErrorClass.UNKNOWN and self._repeatable
        advice = _SENT_AGAIN if safe else _ADVICE[error_class]
        message = f"{self._where()}: {_without(what, self._secrets())}. {advice}"
        return ActionFailed(message, error_class=error_class, code=code)

    def _where(self) -> str:
        """The method and address without its query, in which services take keys."""
        return f"{self._method.name.upper()} {self._url.copy_with(query=None, fragment=None)}"

    def _secrets(self) -> list[str]:
        headers = cast(Mapping[str, str], self._call.arguments.get("headers") or {})
        return [value for name, value in headers.items() if name.lower() not in _HARMLESS and len(value) > 3]


_ADVICE = {
    ErrorClass.TRANSIENT: "It may succeed when tried again, and repeating it is safe.",
    ErrorClass.REJECTED: "The service did not take it; correct what is asked for.",
    ErrorClass.PERMANENT: "Trying again will not help until this is mended.",
    ErrorClass.UNKNOWN: "Whether it had an effect is not known: look there before anything is repeated.",
}
_SENT_AGAIN = "Whether it had an effect is not known; sending exactly the same again is safe."
_HARMLESS = frozenset({"accept", "accept-language", "content-type", "user-agent"})


def _status_line(answer: httpx.Response) -> str:
    return f"{answer.status_code} {answer.reason_phrase}".strip()


def _pairs(query: Mapping[str, JsonValue]) -> Iterator[tuple[str, str]]:
    for name, value in query.items():
        for item in value if isinstance(value, list) else [value]:
            yield name, item if isinstance(item, str) else json.dumps(item)


def _parsed(content: bytes) -> dict[str, JsonValue]:
    """`{"json": ...}` when the body is JSON that can be recorded, else nothing."""
    try:
        value = json.loads(content)
        refuse_what_is_not_json(value)
    except (ValueError, RecursionError, NotJsonError):
        return {}
    return {"json": value}


def _is_certificate_problem(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ssl.SSLError):
            return True
        error = error.__cause__ or error.__context__
    return False


def _without(text: str, secrets: list[str]) -> str:
    for secret in secrets:
        text = text.replace(secret, "***")
    return text
