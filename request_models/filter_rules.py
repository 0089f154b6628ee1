"""The type rules of the filters: what is known of their answer when a model is compiled."""

from collections.abc import Callable

from request_models.errors import TypeRuleError
from request_models.expression_tests import TESTS
from request_models.type_algebra import (
    ORDERED,
    any_secret,
    constant_text,
    family,
    is_any,
    is_secret,
    item_of,
    join,
    member_of,
    options,
    say_type,
    with_secrecy,
    without_literal,
)
from request_models.value_types import (
    AnyType,
    ArrayType,
    BooleanType,
    DateTimeType,
    DateType,
    IntegerType,
    Member,
    NullType,
    NumberType,
    ObjectType,
    StringType,
    ValueType,
)

TEXT = (StringType, DateType, DateTimeType)
"""What counts as text: a date is text too."""
_NUMBERS = (IntegerType, NumberType)

Rule = Callable[..., ValueType]


def only(value: ValueType, kinds: tuple[type[ValueType], ...], name: str, what: str) -> None:
    """Refuse, naming the filter, every option of a type that it does not work on."""
    for option in options(value):
        if not isinstance(option, kinds) and not isinstance(option, AnyType):
            raise TypeRuleError(f"`{name}` works on {what}, but this is {say_type(option)}")


def text_rule(name: str) -> Rule:
    """Text gives text; whatever else it is given is text too."""

    def rule(value: ValueType, *arguments: ValueType | None) -> ValueType:
        only(value, TEXT, name, "text")
        for argument in arguments:
            argument_only(argument, TEXT, name, "text")
        return StringType(secret=any_secret(value) or any(map(_secret, arguments)))

    return rule


def _secret(argument: ValueType | None) -> bool:
    return argument is not None and any_secret(argument)


def argument_only(argument: ValueType | None, kinds: tuple[type[ValueType], ...], name: str, what: str) -> None:
    """Refuse, naming the filter, an argument that may be of a type which it does not take."""
    for option in options(argument) if argument is not None else ():
        if not isinstance(option, kinds) and not isinstance(option, AnyType):
            raise TypeRuleError(f"`{name}` is given {what}, but this is {say_type(option)}")


def numeral_rule(result: ValueType, name: str) -> Rule:
    """A number, or text that is one (which is seen at run time), gives a number."""
    return fixed(result, StringType, *_NUMBERS, name=name, what="numbers, and text that is one")


def split_rule(value: ValueType, separator: ValueType | None) -> ValueType:
    """Text gives a list of texts."""
    only(value, TEXT, "split", "text")
    argument_only(separator, TEXT, "split", "text")
    return ArrayType(items=StringType(secret=any_secret(value)), secret=any_secret(value))


def text_keeping_enum(name: str, change: Callable[[str], str]) -> Rule:
    """Text gives text; of listed texts, the changed ones."""

    def rule(value: ValueType) -> ValueType:
        only(value, TEXT, name, "text")
        known = options(value)
        if len(known) == 1 and isinstance(known[0], StringType) and known[0].enum is not None:
            return StringType(enum=tuple(dict.fromkeys(map(change, known[0].enum))), secret=known[0].secret)
        return StringType(secret=any_secret(value))

    return rule


def list_rule(name: str) -> Rule:
    """A list gives a list of the same items."""

    def rule(value: ValueType, *_arguments: ValueType | None) -> ValueType:
        only(value, (ArrayType,), name, "a list")
        return ArrayType(items=item_of(value) or AnyType(), secret=value.secret)

    return rule


def order_rule(value: ValueType, reverse: ValueType | None, attribute: ValueType | None) -> ValueType:
    """A list whose items, or their attributes, have an order gives a list of the same items."""
    argument_only(reverse, (BooleanType,), "sort", "true or false")
    found = list_rule("sort")(value)
    items = item_of(value) or AnyType()
    _orderable(items if attribute is None else attribute_type(items, attribute), "sort")
    return found


def extreme_rule(name: str) -> Rule:
    """A list whose items have an order gives one of them."""

    def rule(value: ValueType) -> ValueType:
        found = item_rule(name)(value)
        _orderable(found, name)
        return found

    return rule


def _orderable(items: ValueType, name: str) -> None:
    known = [option for option in options(items) if not isinstance(option, AnyType)]
    if any(family(option) not in ORDERED for option in known) or len(set(map(family, known))) > 1:
        hint = "name what to order by: sort(attribute='NAME')" if name == "sort" else ""
        raise TypeRuleError(f"`{name}` puts in order, but there is no order among {say_type(items)}", hint=hint)


def item_rule(name: str) -> Rule:
    """A list gives one of its items."""

    def rule(value: ValueType, *_arguments: ValueType | None) -> ValueType:
        only(value, (ArrayType,), name, "a list")
        return item_of(value) or AnyType()

    return rule


def fixed(result: ValueType, *kinds: type[ValueType], name: str = "", what: str = "") -> Rule:
    """One type, whatever comes in; secret if that is."""

    def rule(value: ValueType, *_arguments: ValueType | None) -> ValueType:
        if kinds:
            only(value, kinds, name, what)
        return with_secrecy(result, any_secret(value))

    return rule


def length_rule(value: ValueType) -> ValueType:
    """Text, a list or a map gives a number; secret only if the whole is, since what is in it does not show."""
    only(value, (*TEXT, ArrayType, ObjectType), "length", "text, lists and maps")
    return IntegerType(minimum=0, secret=is_secret(value))


def flat_rule(value: ValueType) -> ValueType:
    """A list of lists gives the list of their items; what is no list in it stays."""
    only(value, (ArrayType,), "flatten", "a list of lists")
    found = [
        with_secrecy(option.items, option.secret) if isinstance(option, ArrayType) else option
        for option in options(item_of(value) or AnyType())
    ]
    return ArrayType(items=join(found), secret=is_secret(value))


def default_rule(value: ValueType, other: ValueType, also_empty: ValueType | None) -> ValueType:
    """The value, or what is given instead."""
    given = [option for option in options(value) if also_empty is None or not isinstance(option, NullType)]
    return join([*given, other])


def join_rule(value: ValueType, separator: ValueType | None) -> ValueType:
    """A list gives text."""
    only(value, (ArrayType,), "join", "a list")
    argument_only(separator, TEXT, "join", "text")
    return StringType(secret=any_secret(value) or _secret(separator))


def number_rule(name: str) -> Rule:
    """A number gives a number of its kind."""

    def rule(value: ValueType) -> ValueType:
        only(value, _NUMBERS, name, "numbers")
        return without_literal(value) if not is_any(value) else NumberType(secret=value.secret)

    return rule


def sum_rule(value: ValueType) -> ValueType:
    """A list of numbers gives a number."""
    only(value, (ArrayType,), "sum", "a list of numbers")
    items = item_of(value) or AnyType()
    only(items, _NUMBERS, "sum", "a list of numbers")
    whole = all(isinstance(option, IntegerType) for option in options(items))
    return IntegerType(secret=any_secret(value)) if whole else NumberType(secret=any_secret(value))


def round_rule(value: ValueType, digits: ValueType | None) -> ValueType:
    """A number gives a whole one, unless digits are asked for."""
    only(value, _NUMBERS, "round", "numbers")
    argument_only(digits, (IntegerType,), "round", "a whole number")
    return IntegerType(secret=value.secret) if digits is None else NumberType(secret=value.secret)


def attribute_type(items: ValueType, attribute: ValueType) -> ValueType:
    """The type under an attribute's dotted path in each item; what an item lacks is seen at run time."""
    argument_only(attribute, (StringType,), "attribute", "text")
    path = constant_text(attribute)
    if path is None:
        return AnyType(secret=any_secret(items))
    for name in path.split("."):
        maps = [option for option in options(items) if isinstance(option, ObjectType | AnyType)]
        member = member_of(join(maps), name) if maps else None
        if member is None:
            raise TypeRuleError(f"the items have no `{name}`: they are {say_type(items)}")
        items = member.type
    return items


def choose_rule(by_attribute: bool, name: str) -> Rule:
    """A list gives a list of the same items; the attribute and the test must exist."""

    def rule(value: ValueType, *given: ValueType | None) -> ValueType:
        only(value, (ArrayType,), name, "a list")
        items = item_of(value) or AnyType()
        attribute, test, argument = given if by_attribute else (None, *given)
        subject = items if attribute is None else attribute_type(items, attribute)
        used = TESTS.get(constant_text(test) or "")
        if test is not None and used is None:
            raise TypeRuleError(f"`{name}` knows no test of this name", hint=f"tests are {', '.join(sorted(TESTS))}")
        if used is not None:
            used.rule(subject, *used.bind([] if argument is None else [argument], {}))
        return ArrayType(items=items, secret=value.secret)

    return rule


def list_of_rule(value: ValueType) -> ValueType:
    """A list gives itself, a map its keys."""
    only(value, (ArrayType, ObjectType), "list", "a list or a map")
    if is_any(value):
        return ArrayType(items=AnyType(), secret=any_secret(value))
    items = [option.items if isinstance(option, ArrayType) else StringType() for option in options(value)]
    return ArrayType(items=join(items), secret=any(option.secret for option in options(value)))


def entries_rule(value: ValueType) -> ValueType:
    """A map gives a list of `{key, value}`."""
    only(value, (ObjectType,), "items", "a map")
    found: list[ValueType] = []
    for option in options(value):
        if isinstance(option, ObjectType):
            found.extend(member.type for member in option.members.values())
            found.extend([option.others] if option.others is not None else [])
    members = {"key": Member(type=StringType(), required=True), "value": Member(type=join(found), required=True)}
    return ArrayType(items=ObjectType(members=members), secret=value.secret)
