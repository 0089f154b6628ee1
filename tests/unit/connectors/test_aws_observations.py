"""What a read before the call says about the outcome."""

import pytest

from connectors.aws.effects import Before, Look
from connectors.aws.observations import Observation, filled, found_in, judge, observe, recorded
from request_models.actions import Outcome, Presence
from request_models.json_values import JsonValue

TAGS = Before(operation="get_tags", same={"Tagging.TagSet": "TagSet"})


def tags(*pairs: str) -> list[JsonValue]:
    return [{"Key": pair[0], "Value": pair[1]} for pair in pairs]


def outcome(before: Before, asked: dict[str, JsonValue], found: dict[str, JsonValue]) -> Outcome:
    return observe(before, asked, found_in(before, asked, found)).outcome


def test_nothing_there_is_made() -> None:
    assert Observation(found=None).outcome is Outcome.MADE


def test_the_same_in_another_order_is_already_so() -> None:
    asked: dict[str, JsonValue] = {"Tagging": {"TagSet": tags("a1", "b2")}}
    assert outcome(TAGS, asked, {"TagSet": tags("b2", "a1")}) is Outcome.ALREADY_SO


@pytest.mark.parametrize("found", [tags("a1"), tags("a1", "b3"), tags("a1", "b2", "c3"), []])
def test_anything_else_is_changed(found: list[JsonValue]) -> None:
    asked: dict[str, JsonValue] = {"Tagging": {"TagSet": tags("a1", "b2")}}
    assert outcome(TAGS, asked, {"TagSet": found}) is Outcome.CHANGED


def test_a_thing_found_twice_does_not_match_two_things_asked_for() -> None:
    asked: dict[str, JsonValue] = {"Tagging": {"TagSet": tags("a1", "a1")}}
    assert outcome(TAGS, asked, {"TagSet": tags("a1", "b2")}) is Outcome.CHANGED


def test_what_the_system_filled_in_does_not_count_as_different() -> None:
    rule = Before(operation="get", same={"Config": "Config"})
    found: dict[str, JsonValue] = {"Config": {"Rules": [{"Algorithm": "AES256", "KeyEnabled": False}]}}
    assert outcome(rule, {"Config": {"Rules": [{"Algorithm": "AES256"}]}}, found) is Outcome.ALREADY_SO


def test_policies_are_compared_as_documents() -> None:
    policy = Before(operation="get", same={"Policy": "Policy"})
    assert outcome(policy, {"Policy": '{"a": 1, "b": [2]}'}, {"Policy": '{"b":[2],"a":1}'}) is Outcome.ALREADY_SO
    assert outcome(policy, {"Policy": '{"a": 1}'}, {"Policy": '{"a": 2}'}) is Outcome.CHANGED
    assert outcome(policy, {"Policy": "{broken"}, {"Policy": '{"a": 2}'}) is Outcome.CHANGED


def test_true_is_not_one() -> None:
    flag = Before(operation="get", same={"On": "On"})
    assert outcome(flag, {"On": True}, {"On": 1}) is Outcome.CHANGED


def test_what_cannot_be_compared_counts_as_different() -> None:
    assert outcome(Before(operation="get"), {"X": 1}, {"X": 1}) is Outcome.CHANGED


def test_what_is_found_is_always_the_same_where_the_line_says_so() -> None:
    assert outcome(Before(operation="get", same={}), {"X": 1}, {}) is Outcome.ALREADY_SO


MEMBER = Before(operation="list", among="Groups", identified_by={"Name": "Group"}, same={})


def test_a_list_is_searched_for_the_item() -> None:
    asked: dict[str, JsonValue] = {"Group": "admins"}
    assert outcome(MEMBER, asked, {"Groups": [{"Name": "users"}, {"Name": "admins"}]}) is Outcome.ALREADY_SO
    assert outcome(MEMBER, asked, {"Groups": [{"Name": "users"}]}) is Outcome.MADE
    assert outcome(MEMBER, asked, {}) is Outcome.MADE


def test_an_argument_of_a_read_is_a_path_or_a_text() -> None:
    asked: dict[str, JsonValue] = {"Name": "t", "@region": "eu-west-1", "@account": "123456789012", "A": {"B": 3}}
    assert filled("A.B", asked) == 3
    assert filled("A.C", asked) is None
    assert filled("arn:aws:sns:{@region}:{@account}:{Name}", asked) == "arn:aws:sns:eu-west-1:123456789012:t"


def test_arguments_of_a_read_may_be_literals_and_nested() -> None:
    asked: dict[str, JsonValue] = {"@token": "t-1", "Name": "n"}
    template: JsonValue = [{"Name": "=tag:orderly:token", "Values": ["@token", "Name"], "Max": 3}]
    assert filled(template, asked) == [{"Name": "tag:orderly:token", "Values": ["t-1", "n"], "Max": 3}]
    assert filled("arn:{Missing}", asked) is None


def test_what_bears_the_token_is_found_one_or_all() -> None:
    answer: dict[str, JsonValue] = {"Vpcs": [{"VpcId": "a"}, {"VpcId": "b"}]}
    assert found_in(Look(operation="d", among="Vpcs"), {}, answer) == {"VpcId": "a"}
    assert found_in(Look(operation="d", among="Vpcs", every=True), {}, answer) == {"items": answer["Vpcs"]}
    assert found_in(Look(operation="d", among="Vpcs"), {}, {"Vpcs": []}) is None


GONE = Before(operation="get", aim="absent")


def test_deleting_what_is_not_there_is_already_so_and_what_is_there_is_changed() -> None:
    assert observe(GONE, {}, None).outcome is Outcome.ALREADY_SO
    assert observe(GONE, {}, {"Policy": "{}"}).outcome is Outcome.CHANGED


@pytest.mark.parametrize("before", [Observation(found={"TagSet": tags("a1")}), Observation(found=None, same=True)])
def test_what_was_read_before_the_call_comes_back_from_the_record(before: Observation) -> None:
    kept = recorded(before.to_json())
    assert kept is not None
    assert (kept.found, kept.same, kept.outcome) == (before.found, before.same, before.outcome)
    assert recorded(None) is None


SET = Before(operation="get", same={"Value": "Value"})
UNCOMPARED = Before(operation="get")
ASKED: dict[str, JsonValue] = {"Value": "new"}


@pytest.mark.parametrize(
    ("before", "then", "now", "presence"),
    [
        (SET, None, None, Presence.ABSENT),
        (SET, None, {"Value": "new"}, Presence.OURS),
        (SET, None, {"Value": "theirs"}, Presence.FOREIGN),
        (SET, {"Value": "old"}, {"Value": "new"}, Presence.OURS),
        (SET, {"Value": "old"}, {"Value": "old"}, Presence.ABSENT),
        (SET, {"Value": "old"}, {"Value": "other"}, Presence.CANNOT_TELL),
        (SET, {"Value": "old"}, None, Presence.CANNOT_TELL),
        (SET, {"Value": "new"}, {"Value": "new"}, Presence.OURS),
        (SET, {"Value": "new"}, {"Value": "other"}, Presence.CANNOT_TELL),
        (UNCOMPARED, None, {"Value": "new"}, Presence.CANNOT_TELL),
        (UNCOMPARED, {"Value": "old"}, {"Value": "old"}, Presence.ABSENT),
        (GONE, {"Value": "old"}, None, Presence.OURS),
        (GONE, {"Value": "old"}, {"Value": "old"}, Presence.ABSENT),
        (GONE, {"Value": "old"}, {"Value": "other"}, Presence.CANNOT_TELL),
        (GONE, None, None, Presence.OURS),
        (GONE, None, {"Value": "x"}, Presence.CANNOT_TELL),
    ],
)
def test_only_what_became_as_asked_since_the_record_is_ours(
    before: Before, then: dict[str, JsonValue] | None, now: dict[str, JsonValue] | None, presence: Presence
) -> None:
    told = recorded(observe(before, ASKED, then).to_json())
    assert told is not None
    assert judge(before, told, observe(before, ASKED, now)) is presence
