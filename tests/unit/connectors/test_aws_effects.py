"""Every line of effects.yaml, held against the shapes it speaks of."""

from pathlib import Path

import pytest
from botocore.model import ListShape, Shape, StructureShape

from connectors.aws.effects import Effect, EffectsInvalid, load_effects
from connectors.aws.services import Service, Services
from request_models.actions import EffectClass, Outcome
from request_models.value_types import ArrayType, LazyType, ObjectType, UnionType, ValueType

SERVICES = Services()
LINES = load_effects().lines


def of(line: str) -> tuple[Service, str]:
    service_name, _, operation = line.rpartition(".")
    service = SERVICES.get(service_name)
    assert service is not None, f"{line}: AWS has no service {service_name}"
    return service, operation


def input_shape(service: Service, operation: str) -> StructureShape:
    model = service.operation(operation)
    assert model is not None, f"{service.name} has no operation {operation}"
    return model.input_shape or StructureShape("Empty", {"type": "structure", "members": {}})


def has_path(shape: Shape | None, path: str) -> bool:
    for name in path.split("."):
        if not isinstance(shape, StructureShape) or name not in shape.members:
            return False
        shape = shape.members[name]
    return True


def at(shape: Shape, path: str) -> Shape:
    for name in path.split("."):
        assert isinstance(shape, StructureShape)
        shape = shape.members[name]
    return shape


def known_argument(shape: StructureShape, path: str) -> bool:
    return path in {"@account", "@region"} or has_path(shape, path)


@pytest.mark.parametrize("line", sorted(LINES))
def test_the_operation_exists(line: str) -> None:
    service, operation = of(line)
    assert operation in service.operations


@pytest.mark.parametrize("line", sorted(name for name, effect in LINES.items() if effect.before is not None))
def test_the_read_before_it_fits_the_shapes(line: str) -> None:
    service, operation = of(line)
    before = LINES[line].before
    assert before is not None
    assert LINES[f"{service.name}.{before.operation}"].effect is EffectClass.READ_ONLY
    asked, read = input_shape(service, operation), input_shape(service, before.operation)
    for name, text in before.arguments.items():
        assert name in read.members
        places = [part.split("}")[0] for part in text.split("{")[1:]] or [text]
        assert all(known_argument(asked, place) for place in places), text
    model = service.operation(before.operation)
    assert model is not None
    found = model.output_shape
    if before.among is not None:
        listed = at(found, before.among)
        assert isinstance(listed, ListShape)
        found = listed.member
        for item, wanted in before.identified_by.items():
            assert has_path(found, item)
            assert has_path(asked, wanted)
    for wanted, place in (before.same or {}).items():
        assert known_argument(asked, wanted), wanted
        assert has_path(found, place), place


@pytest.mark.parametrize(
    "line", sorted(name for name, effect in LINES.items() if effect.before and effect.before.answer)
)
def test_the_answer_of_a_skipped_call_has_known_members(line: str) -> None:
    service, operation = of(line)
    model, before = service.operation(operation), LINES[line].before
    assert model is not None
    assert before is not None
    assert set(before.answer) <= set(model.output_shape.members)


@pytest.mark.parametrize("line", sorted(name for name, effect in LINES.items() if effect.before is not None))
def test_what_is_read_before_holds_no_secret(line: str) -> None:
    """It is kept in the records as `before`, and as progress for the next attempt."""
    service, _ = of(line)
    before = LINES[line].before
    assert before is not None
    model = service.operation(before.operation)
    assert model is not None
    # AWS marks the id of a key as sensitive; it names a key and opens nothing.
    assert set(secret_places(service.types.result(model, pageable=False))) <= {"KMSMasterKeyID"}


def secret_places(of_type: ValueType, name: str = "", depth: int = 0) -> list[str]:
    """Names of the members whose values are secret, down to where shapes begin to repeat."""
    if depth > 12:
        return []
    inner: list[tuple[str, ValueType]] = []
    match of_type:
        case LazyType():
            inner = [(name, of_type.resolved)]
        case ObjectType():
            inner = [(key, member.type) for key, member in of_type.members.items()]
            inner += [(name, of_type.others)] if of_type.others is not None else []
        case ArrayType():
            inner = [(name, of_type.items)]
        case UnionType():
            inner = [(name, option) for option in of_type.options]
        case _:
            pass
    return [name] * of_type.secret + [found for key, part in inner for found in secret_places(part, key, depth + 1)]


@pytest.mark.parametrize(
    "line", sorted(name for name, effect in LINES.items() if effect.effect is EffectClass.TAKES_TOKEN)
)
def test_what_takes_a_token_has_a_member_for_it(line: str) -> None:
    service, operation = of(line)
    model = service.operation(operation)
    assert model is not None
    assert model.idempotent_members


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
        ("{effect: idempotent, token_lifetime: PT1H, why: x y z}", "token_lifetime goes with"),
        ("{effect: read-only, outcome: made, why: x y z}", "read-only operation"),
        ("{effect: idempotent, why: x y z, before: {operation: get_x, among: Items}}", "among goes with identified_by"),
        ("{effect: idempotent, why: x y z, speed: 3}", "speed: Extra inputs"),
        ("nothing", "the line"),
    ],
)
def test_a_wrong_line_is_refused_with_file_and_operation(tmp_path: Path, line: str, why: str) -> None:
    own = tmp_path / "own.yaml"
    own.write_text(f"s3:\n  list_parts: {line}\n")
    with pytest.raises(EffectsInvalid, match=rf"own\.yaml, s3\.list_parts: .*{why}"):
        load_effects([own])


@pytest.mark.parametrize("text", ["s3: [", "s3: {a: 1", "- s3", "s3: 3"])
def test_a_file_that_is_no_map_of_maps_is_refused(tmp_path: Path, text: str) -> None:
    own = tmp_path / "own.yaml"
    own.write_text(text)
    with pytest.raises(EffectsInvalid, match=r"own\.yaml"):
        load_effects([own])


def test_an_unreviewed_operation_says_so() -> None:
    effect: Effect = load_effects().of("s3", "no_such_line")
    assert effect.effect is EffectClass.NOT_REPEATABLE
    assert effect.outcome is Outcome.MADE
