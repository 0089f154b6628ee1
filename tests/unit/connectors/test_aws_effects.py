"""Every line of effects.yaml, held against the shapes it speaks of; and a user's own lines."""

from pathlib import Path

import pytest

from connectors.aws.effect_files import EffectsInvalid, load_effects
from connectors.aws.effect_shapes import misfits
from connectors.aws.effects import Effect, LifetimeSource
from connectors.aws.services import Services
from request_models.actions import EffectClass, Outcome

SERVICES = Services()
LINES = load_effects().lines


def reads(name: str) -> bool:
    return name in LINES and LINES[name].effect is EffectClass.READ_ONLY


@pytest.mark.parametrize("line", sorted(LINES))
def test_a_line_fits_the_operations_it_speaks_of(line: str) -> None:
    service, _, operation = line.rpartition(".")
    assert list(misfits(SERVICES, service, operation, LINES[line], reads)) == []


def test_what_removes_a_thing_names_it_by_its_arguments() -> None:
    assert LINES["s3.delete_bucket"].removes == ("Bucket",)
    assert LINES["iam.delete_role_policy"].removes == ("RoleName", "PolicyName")
    assert LINES["s3.delete_bucket_encryption"].removes == ()
    wrong = LINES["s3.delete_bucket"].model_copy(update={"removes": ("Buckett",)})
    assert list(misfits(SERVICES, "s3", "delete_bucket", wrong, reads)) == ["removes: it takes no 'Buckett'"]


def test_the_operations_a_platform_team_uses_most_are_reviewed() -> None:
    acting = [name for name, line in LINES.items() if line.effect is not EffectClass.READ_ONLY]
    assert len(acting) >= 150


def test_what_may_answer_with_what_was_there_already_is_looked_at_before() -> None:
    """Else its outcome would be `made`, and undo would delete what somebody else made."""
    blind = {
        name
        for name, line in LINES.items()
        if line.effect is EffectClass.IDEMPOTENT and line.outcome is Outcome.MADE and line.before is None
    }
    refused_or_known = {
        "cloudfront.create_invalidation",  # the CallerReference is the request's own
        "ec2.attach_internet_gateway",
        "ec2.attach_volume",
        "ec2.create_route",
        "lambda.add_permission",
        "organizations.attach_policy",
    }
    assert blind == refused_or_known, "these are refused the second time"


def test_a_lifetime_said_to_stand_in_the_service_model_stands_there() -> None:
    said = {28800: "8 hours", 600: "10 minutes", 900: "15 minutes"}
    for name, line in LINES.items():
        if line.token_lifetime_source is not LifetimeSource.SERVICE_MODEL:
            continue
        assert line.token_lifetime is not None
        service = SERVICES.get(name.partition(".")[0])
        assert service is not None
        operation = service.operation(name.partition(".")[2])
        assert operation is not None
        documented = " ".join(
            operation.input_shape.members[token].documentation for token in operation.idempotent_members
        )
        assert said[int(line.token_lifetime.total_seconds())] in documented, name


def test_a_read_only_line_reads() -> None:
    assert LINES["s3.head_bucket"].outcome is Outcome.READ


def test_a_user_adds_lines_and_wins_over_ours(tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"
    own.write_text(
        "s3:\n  list_parts: {effect: read-only, why: A list.}\n"
        "  put_object: {effect: idempotent, why: No versioning here.}\n"
    )
    effects = load_effects([own])
    assert effects.of("s3", "list_parts").effect is EffectClass.READ_ONLY
    assert effects.of("s3", "put_object").effect is EffectClass.IDEMPOTENT
    assert load_effects().of("s3", "put_object").effect is EffectClass.NOT_REPEATABLE


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("{effect: read-only}", "why: Field required"),
        ("{effect: harmless, why: I think so.}", "effect"),
        ("{effect: takes-token, why: It has one.}", "token_lifetime goes with"),
        ("{effect: takes-token, token_lifetime: PT1H, why: It has one.}", "token_lifetime_source goes with"),
        ("{effect: has-probe, why: It has one.}", "has-probe needs a probe"),
        ("{effect: has-probe, why: x y z, mark: {member: Tags}}", "has-probe needs a probe"),
        ("{effect: idempotent, token_lifetime: PT1H, why: x y z}", "token_lifetime goes with"),
        ("{effect: read-only, outcome: made, why: x y z}", "read-only operation"),
        ("{effect: idempotent, why: x y z, before: {operation: get_x, every: true}}", "every go with among"),
        ("{effect: idempotent, why: x y z, speed: 3}", "speed: Extra inputs"),
        ("nothing", "the line"),
    ],
)
def test_a_wrong_line_is_refused_with_file_line_and_operation(tmp_path: Path, line: str, why: str) -> None:
    own = tmp_path / "own.yaml"
    own.write_text(f"# mine\ns3:\n  list_parts: {line}\n")
    with pytest.raises(EffectsInvalid, match=rf"own\.yaml:3: s3\.list_parts: .*{why}"):
        load_effects([own])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("s4:\n  list_parts: {effect: read-only, why: A list.}\n", ":2: s4.list_parts: AWS has no service 's4'"),
        ("s3:\n  list_part: {effect: read-only, why: A list.}\n", ":2: s3.list_part: s3 has no operation"),
        (
            "s3:\n  head_bucket: {effect: idempotent, why: I think so.}\n",
            ":2: s3.head_bucket: it was reviewed as read-only, and stays so",
        ),
        (
            "s3:\n  list_parts: {effect: read-only, why: A list.}\n\n  delete_bucket: {effect: read-only, why: Oh.}\n",
            ":4: s3.delete_bucket: it has an effect .* cannot be called read-only",
        ),
        (
            (
                "sqs:\n  send_message:\n    effect: takes-token\n    why: It says so.\n    token_lifetime: PT5M\n"
                "    token_lifetime_source: memory\n"
            ),
            ":2: sqs.send_message: it has no member for a token",
        ),
        (
            (
                "sqs:\n  send_message:\n    effect: takes-token\n    why: It says so.\n    token_lifetime: soon\n"
                "    token_lifetime_source: memory\n"
            ),
            ":5: sqs.send_message: token_lifetime: ",
        ),
        (
            (
                "iam:\n  create_access_key:\n    effect: has-probe\n    why: It says.\n    mark: {member: UserName}\n"
                "    probe: {operation: list_access_key, arguments: {User: Nobody}}\n"
            ),
            ":2: iam.create_access_key: probe: 'list_access_key' is not known as a read-only operation",
        ),
        (
            (
                "iam:\n  create_access_key:\n    effect: has-probe\n    why: It says so.\n"
                "    probe: {operation: list_access_keys, arguments: {User: Nobody}, among: Keys}\n"
            ),
            (
                ":2: iam.create_access_key: probe: list_access_keys takes no 'User'\n"
                ".*there is no argument 'Nobody'\n.*answers no list 'Keys'"
            ),
        ),
        (
            (
                "s3:\n  put_bucket_tagging:\n    effect: idempotent\n    why: It says so.\n"
                "    before: {operation: get_bucket_tagging, arguments: {Bucket: Bucket}}\n"
                "    restore:\n      arguments: {Bucket: Pail, Tags: '@before.Tags'}\n"
                "      nothing: {operation: delete_bucket_tag, arguments: {Bucket: Bucket}}\n"
            ),
            (
                ":2: s3.put_bucket_tagging: restore: there is no argument 'Pail'\n"
                ".*PutBucketTagging takes no 'Tags'\n.*nothing found has a 'Tags'\n"
                ".*s3 has no operation 'delete_bucket_tag'"
            ),
        ),
        (
            (
                "s3:\n  put_bucket_tagging:\n    effect: idempotent\n    why: It says so.\n"
                "    restore: {arguments: {Bucket: Bucket}}\n"
            ),
            ":2: s3.put_bucket_tagging: .*restore goes with a before",
        ),
    ],
)
def test_a_line_that_does_not_fit_aws_or_the_review_is_refused(tmp_path: Path, text: str, said: str) -> None:
    own = tmp_path / "own.yaml"
    own.write_text(text)
    with pytest.raises(EffectsInvalid, match=rf"own\.yaml{said}"):
        load_effects([own])


def test_all_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"
    own.write_text("s3:\n  list_parts: {effect: none}\n  put_x: {effect: idempotent, why: A guess.}\ns4: 3\n")
    with pytest.raises(EffectsInvalid) as caught:
        load_effects([own])
    assert [line.split(":")[1] for line in str(caught.value).splitlines()] == ["2", "2", "3", "4"]


@pytest.mark.parametrize("text", ["s3: [", "s3: {a: 1", "- s3", "s3: 3"])
def test_a_file_that_is_no_map_of_maps_is_refused(tmp_path: Path, text: str) -> None:
    own = tmp_path / "own.yaml"
    own.write_text(text)
    with pytest.raises(EffectsInvalid, match=r"own\.yaml:1"):
        load_effects([own])


def test_an_unreviewed_operation_says_so() -> None:
    effect: Effect = load_effects().of("s3", "no_such_line")
    assert effect.effect is EffectClass.NOT_REPEATABLE
    assert effect.outcome is Outcome.MADE
