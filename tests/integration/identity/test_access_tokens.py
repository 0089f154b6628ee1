"""Which access tokens are taken: keys over real HTTP, every hostile token of RFC 8725 and of our own making."""

import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization

from flows.identity.access_tokens import AccessTokens
from flows.identity.errors import IssuerUnavailable, TokenRefused
from flows.identity.signing_keys import SigningKeys
from flows.identity_settings import IssuerSettings
from issuer import AUDIENCE, Issuer, Key, ec_key, encoded, encoded_json, rsa_key, running_issuer


@dataclass
class Seconds:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(scope="module")
def keys() -> tuple[Key, Key]:
    return rsa_key("first"), ec_key("second")


@pytest.fixture
def issuer(keys: tuple[Key, Key]) -> Iterator[Issuer]:
    with running_issuer(*keys) as running:
        yield running


@pytest.fixture
def seconds() -> Seconds:
    return Seconds()


@pytest.fixture
def settings(issuer: Issuer) -> IssuerSettings:
    return IssuerSettings(issuer=issuer.url, audience=(AUDIENCE, "another"), leeway_seconds=5)


@pytest.fixture
def tokens(settings: IssuerSettings, seconds: Seconds) -> AccessTokens:
    return AccessTokens([settings], lambda one: SigningKeys(one, seconds))


def refusal(tokens: AccessTokens, token: str) -> str:
    with pytest.raises(TokenRefused) as caught:
        tokens.take(token)
    return str(caught.value).removeprefix("The access token is not taken: ").rstrip(".")


def test_a_good_token_is_taken_with_its_claims(tokens: AccessTokens, issuer: Issuer) -> None:
    assert tokens.take(issuer.token()).claims["sub"] == "anna"


@pytest.mark.parametrize("typ", ["at+jwt", "AT+JWT", "application/at+jwt"])
def test_the_type_may_be_written_as_the_media_type(tokens: AccessTokens, issuer: Issuer, typ: str) -> None:
    tokens.take(issuer.token({"typ": typ}))


def test_another_kind_of_key_of_the_same_issuer_is_used_by_its_id(tokens: AccessTokens, issuer: Issuer) -> None:
    second = issuer.keys[1]

    tokens.take(issuer.token({"alg": "ES256", "kid": second.id}, second))


def test_a_token_for_several_audiences_is_taken_if_one_is_ours(tokens: AccessTokens, issuer: Issuer) -> None:
    tokens.take(issuer.token(aud=["elsewhere", AUDIENCE]))


def test_clocks_may_differ_by_the_leeway(tokens: AccessTokens, issuer: Issuer) -> None:
    now = int(time.time())

    tokens.take(issuer.token(exp=now - 2, nbf=now + 2, iat=now + 2))


HOSTILE: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "wrong issuer": ({}, {"iss": "https://evil.example"}, "no such issuer is known here"),
    "issuer with a slash more": ({}, {"iss": "ISSUER/"}, "no such issuer is known here"),
    "issuer in a list": ({}, {"iss": ["ISSUER"]}, "no such issuer is known here"),
    "no issuer": ({}, {"iss": None}, "no such issuer is known here"),
    "wrong audience": ({}, {"aud": "elsewhere"}, "it is for another audience"),
    "no audience": ({}, {"aud": None}, "a claim is missing: iss, aud, sub, exp and iat must be there"),
    "expired": ({}, {"exp": 1_700_000_000}, "it has expired; get a new one"),
    "without an end": ({}, {"exp": None}, "a claim is missing: iss, aud, sub, exp and iat must be there"),
    "not valid yet": ({}, {"nbf": 4_000_000_000}, "it is not valid yet"),
    "issued in the future": ({}, {"iat": 4_000_000_000}, "it is not valid yet"),
    "without a subject": ({}, {"sub": None}, "a claim is missing: iss, aud, sub, exp and iat must be there"),
    "end that is text": ({}, {"exp": "4000000000"}, "exp is no moment"),
    "end beyond all numbers": ({}, {"exp": 10**400}, "exp is no moment"),
    "end that is true": ({}, {"exp": True}, "exp is no moment"),
    "start before all time": ({}, {"nbf": -1}, "nbf is no moment"),
    "identity token": (
        {"typ": "JWT"},
        {},
        "its type must be at+jwt; an identity token is no access token",
    ),
    "no type": ({"typ": None}, {}, "its type must be at+jwt; an identity token is no access token"),
    "another algorithm": ({"alg": "PS384"}, {}, "its signature must be one of RS256, PS256, ES256, EdDSA"),
    "algorithm of another key type": ({"alg": "ES256"}, {}, "the issuer has no such key"),
    "unknown key": ({"kid": "third"}, {}, "the issuer has no such key"),
    "key id that is a path": ({"kid": "../../../../dev/null"}, {}, "the issuer has no such key"),
    "key id that is a query": ({"kid": "x' UNION SELECT 'a"}, {}, "the issuer has no such key"),
    "key id that is a list": ({"kid": ["first"]}, {}, "its key id is none"),
    "empty key id": ({"kid": ""}, {}, "its key id is none"),
    "huge key id": ({"kid": "k" * 300}, {}, "its key id is none"),
    "nested": ({"cty": "JWT"}, {}, "its header asks for what is not done here (crit, cty, enc, b64)"),
    "critical extension": (
        {"crit": ["exp"]},
        {},
        "its header asks for what is not done here (crit, cty, enc, b64)",
    ),
    "payload not encoded": ({"b64": False}, {}, "its header asks for what is not done here (crit, cty, enc, b64)"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_token_is_refused_although_its_signature_is_good(
    tokens: AccessTokens, issuer: Issuer, name: str
) -> None:
    header, claims, why = HOSTILE[name]
    claims = {
        claim: json.loads(json.dumps(value).replace("ISSUER", issuer.url)) if claim == "iss" else value
        for claim, value in claims.items()
    }

    assert refusal(tokens, issuer.token(header, **claims)) == why


@pytest.mark.parametrize("alg", ["none", "None", "NONE", "nOnE", ""])
def test_a_token_without_a_signature_is_refused(tokens: AccessTokens, issuer: Issuer, alg: str) -> None:
    unsigned = f"{encoded_json(issuer.header(alg=alg))}.{encoded_json(issuer.claims())}."

    assert refusal(tokens, unsigned) == "its signature must be one of RS256, PS256, ES256, EdDSA"


@pytest.mark.parametrize("form", ["pem", "jwk", "n"])
def test_the_public_key_is_no_shared_secret(tokens: AccessTokens, issuer: Issuer, form: str) -> None:
    public = issuer.keys[0].private.public_key()
    pem = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    jwk = issuer.keys[0].public_jwk()
    secret = {"pem": pem, "jwk": json.dumps(jwk).encode(), "n": jwk["n"].encode()}[form]
    data = f"{encoded_json(issuer.header(alg='HS256'))}.{encoded_json(issuer.claims())}"
    forged = f"{data}.{encoded(hmac.digest(secret, data.encode(), hashlib.sha256))}"

    assert refusal(tokens, forged) == "its signature must be one of RS256, PS256, ES256, EdDSA"


def test_a_stranger_signature_is_refused(tokens: AccessTokens, issuer: Issuer) -> None:
    assert refusal(tokens, issuer.token(key=rsa_key("first"))) == "its signature is wrong"


def test_altered_claims_are_refused(tokens: AccessTokens, issuer: Issuer) -> None:
    header, _, signature = issuer.token().split(".")
    altered = f"{header}.{encoded_json(issuer.claims(scope='admin'))}.{signature}"

    assert refusal(tokens, altered) == "its signature is wrong"


@pytest.mark.parametrize("name", ["jku", "x5u", "jwk", "x5c"])
def test_a_key_that_the_token_brings_or_points_to_is_never_looked_at(
    tokens: AccessTokens, issuer: Issuer, name: str
) -> None:
    own = rsa_key("first")
    with running_issuer(own) as attacker:
        brought = {"jku": f"{attacker.url}/jwks", "x5u": f"{attacker.url}/x5u", "jwk": own.public_jwk(), "x5c": ["AA"]}

        assert refusal(tokens, issuer.token({name: brought[name]}, own)) == "its signature is wrong"
        assert attacker.asked == []


@pytest.mark.parametrize(
    "payload",
    [
        '{"iss": "ISSUER", "sub": "anna", "sub": "root", "aud": "AUD", "exp": 4000000000, "iat": 1}',
        '{"iss": "ISSUER", "sub": "anna", "aud": "AUD", "exp": NaN, "iat": 1}',
        '{"iss": "ISSUER", "sub": "anna", "aud": "AUD", "exp": Infinity, "iat": 1}',
    ],
    ids=["a claim twice", "NaN", "infinity"],
)
def test_claims_that_two_readers_may_read_differently_are_refused(
    tokens: AccessTokens, issuer: Issuer, payload: str
) -> None:
    written = payload.replace("ISSUER", issuer.url).replace("AUD", AUDIENCE)
    token = issuer.signed(encoded_json(issuer.header()), encoded(written.encode()))

    assert refusal(tokens, token) == "header or claims are no proper JSON"


def test_a_header_that_names_its_algorithm_twice_is_refused(tokens: AccessTokens, issuer: Issuer) -> None:
    header = f'{{"alg": "none", "alg": "RS256", "typ": "at+jwt", "kid": "{issuer.keys[0].id}"}}'
    token = issuer.signed(encoded(header.encode()), encoded_json(issuer.claims()))

    assert refusal(tokens, token) == "header or claims are no proper JSON"


def test_a_number_that_is_infinite_only_when_read_is_refused(tokens: AccessTokens, issuer: Issuer) -> None:
    claims = json.dumps(issuer.claims(exp=12345)).replace("12345", "1e999")
    token = issuer.signed(encoded_json(issuer.header()), encoded(claims.encode()))

    assert refusal(tokens, token) == "exp is no moment"


def test_deeply_nested_claims_are_refused(tokens: AccessTokens, issuer: Issuer) -> None:
    token = issuer.signed(encoded_json(issuer.header()), encoded(b"[" * 5500))

    assert refusal(tokens, token) == "header or claims are no proper JSON"


def test_a_token_in_a_token_is_refused(tokens: AccessTokens, issuer: Issuer) -> None:
    inner = issuer.token()

    assert refusal(tokens, issuer.signed(encoded_json(issuer.header()), encoded(inner.encode()))) == (
        "header or claims are no proper JSON"
    )


def test_an_encrypted_token_is_refused(tokens: AccessTokens, issuer: Issuer) -> None:
    encrypted = ".".join([encoded_json({"alg": "RSA-OAEP", "enc": "A256GCM"}), "a", "b", "c", "d"])

    assert refusal(tokens, encrypted) == "it is encrypted (JWE); only signed ones are"


@pytest.mark.parametrize("token", ["a.b", "a.b.c.d", "..", "a..c", "a.b!.c", "é.b.c", "eyJhbGciOiJub25lIn0.e30."])
def test_what_is_no_token_is_refused(tokens: AccessTokens, token: str) -> None:
    assert refusal(tokens, token)


def test_a_huge_token_is_refused_before_it_is_read(tokens: AccessTokens, issuer: Issuer) -> None:
    assert refusal(tokens, issuer.token(more="x" * 8192)) == "it has more than 8192 characters"
    assert issuer.asked == []


def test_a_weak_key_is_refused(tokens: AccessTokens, issuer: Issuer) -> None:
    weak = rsa_key("weak", 1024)
    issuer.keys.insert(0, weak)

    assert refusal(tokens, issuer.token()) == "the issuer's key for it cannot be used"


def test_without_a_key_id_only_an_issuer_with_one_such_key_is_believed(tokens: AccessTokens, issuer: Issuer) -> None:
    tokens.take(issuer.token({"kid": None}))


def test_without_a_key_id_two_such_keys_are_one_too_many(tokens: AccessTokens, issuer: Issuer) -> None:
    issuer.keys.append(rsa_key("third"))

    assert refusal(tokens, issuer.token({"kid": None})) == "it does not say by which key"


class TestKeys:
    """How keys are kept, and how often they are asked for."""

    def test_they_are_asked_for_once_however_many_tokens_come(self, tokens: AccessTokens, issuer: Issuer) -> None:
        for _ in range(5):
            tokens.take(issuer.token())

        assert issuer.asked == ["/.well-known/openid-configuration", "/jwks"]

    def test_a_new_key_is_found_and_one_rotated_out_is_refused(
        self, tokens: AccessTokens, issuer: Issuer, seconds: Seconds
    ) -> None:
        old, new = issuer.keys[0], rsa_key("new")
        tokens.take(issuer.token())
        issuer.keys = [new]
        seconds.now += 31

        tokens.take(issuer.token())

        assert refusal(tokens, issuer.token({"kid": old.id}, old)) == "the issuer has no such key"

    def test_one_rotated_out_is_refused_also_when_nobody_uses_the_new_one(
        self, tokens: AccessTokens, issuer: Issuer, seconds: Seconds
    ) -> None:
        old = issuer.token()
        tokens.take(old)
        issuer.keys = [rsa_key("new")]
        seconds.now += 301

        assert refusal(tokens, old) == "the issuer has no such key"

    def test_tokens_with_unknown_keys_do_not_make_us_ask_each_time(
        self, tokens: AccessTokens, issuer: Issuer, seconds: Seconds
    ) -> None:
        tokens.take(issuer.token())
        for number in range(50):
            refusal(tokens, issuer.token({"kid": f"unknown-{number}"}))
        assert issuer.asked.count("/jwks") == 1

        seconds.now += 31
        for number in range(50):
            refusal(tokens, issuer.token({"kid": f"unknown-{number}"}))
        assert issuer.asked.count("/jwks") == 2

    def test_while_the_issuer_is_down_its_keys_are_used_for_a_while(
        self, tokens: AccessTokens, issuer: Issuer, seconds: Seconds
    ) -> None:
        tokens.take(issuer.token())
        issuer.status = 500

        seconds.now += 301
        tokens.take(issuer.token())

        seconds.now += 3601
        with pytest.raises(IssuerUnavailable):
            tokens.take(issuer.token())

    @pytest.mark.parametrize(
        "answer",
        [b"{", b"[]", b'{"keys": 1}', b'{"keys": [' + b"1," * 200 + b"1]}", b" " * 300_000, b"[" * 100_000],
        ids=["no JSON", "a list", "no keys", "too many", "too long", "too deep"],
    )
    def test_an_answer_that_is_no_key_set_gives_no_key(
        self, tokens: AccessTokens, issuer: Issuer, answer: bytes
    ) -> None:
        issuer.answer = answer

        with pytest.raises(IssuerUnavailable):
            tokens.take(issuer.token())

    def test_redirects_are_not_followed(self, tokens: AccessTokens, issuer: Issuer) -> None:
        issuer.status = 302

        with pytest.raises(IssuerUnavailable):
            tokens.take(issuer.token())
        assert "/elsewhere" not in issuer.asked

    def test_after_a_failure_the_issuer_is_left_alone_for_a_while(
        self, tokens: AccessTokens, issuer: Issuer, seconds: Seconds
    ) -> None:
        issuer.status = 500
        for _ in range(10):
            with pytest.raises(IssuerUnavailable):
                tokens.take(issuer.token())
        assert len(issuer.asked) == 1

        issuer.status = 200
        seconds.now += 6
        tokens.take(issuer.token())

    def test_a_discovery_document_of_another_issuer_is_not_believed(
        self, settings: IssuerSettings, issuer: Issuer, keys: tuple[Key, Key]
    ) -> None:
        pretended = settings.model_copy(update={"issuer": issuer.url.replace("127.0.0.1", "localhost")})
        pretending = AccessTokens([pretended])

        with pytest.raises(IssuerUnavailable):
            pretending.take(issuer.token(iss=pretended.issuer))

    def test_an_encryption_key_and_a_private_key_check_no_signature(self, tokens: AccessTokens, issuer: Issuer) -> None:
        jwk = issuer.keys[0].public_jwk()
        issuer.answer = json.dumps({"keys": [{**jwk, "use": "enc"}, {**jwk, "d": "AQAB"}]}).encode()

        assert refusal(tokens, issuer.token()) == "the issuer has no such key"


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"issuer": "http://login.example.org"}, "https"),
        ({"jwks_url": "file:///etc/passwd"}, "https"),
        ({"algorithms": ("HS256",)}, "RS256"),
        ({"algorithms": ("none",)}, "RS256"),
        ({"audience": ()}, "at least 1"),
        ({"everyone": ("everything",)}, "no such scope"),
        ({"group_scopes": {"ops": ("requests:acts",)}}, "no such scope"),
    ],
)
def test_settings_that_would_be_unsafe_are_refused(changes: dict[str, Any], why: str) -> None:
    given = {"issuer": "https://login.example.org", "audience": ("orderly",), **changes}

    with pytest.raises(ValueError, match=why):
        IssuerSettings.model_validate(given)
