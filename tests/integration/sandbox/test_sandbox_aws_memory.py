"""The AWS endpoint remembers, whatever ends it; shown with an unchanged boto3 client over real HTTP."""

import json
import resource
import signal
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from botocore.exceptions import ClientError

from flows.sandbox.inspection import status


def instance_ids(ec2: Any) -> list[str]:
    return [found["InstanceId"] for group in ec2.describe_instances()["Reservations"] for found in group["Instances"]]


def image(ec2: Any) -> str:
    return str(ec2.describe_images()["Images"][0]["ImageId"])


def test_what_was_answered_is_there_after_kill_9_with_the_same_ids_dates_and_port(sandbox: Any) -> None:
    before = sandbox.start()
    s3, iam, sqs, ec2 = (sandbox.client(name) for name in ("s3", "iam", "sqs", "ec2"))
    s3.create_bucket(Bucket="orderly-remembered")
    s3.put_object(Bucket="orderly-remembered", Key="a b/ü%2F", Body=b"\x00\xff" * 500, Metadata={"kept_as": "it is"})
    role = iam.create_role(RoleName="writer", AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17"}))["Role"]
    queue = sqs.create_queue(QueueName="orders")["QueueUrl"]
    sqs.send_message(QueueUrl=queue, MessageBody="one")
    instance = ec2.run_instances(ImageId=image(ec2), MinCount=1, MaxCount=1)["Instances"][0]
    made = s3.list_buckets()["Buckets"]

    sandbox.kill()
    after = sandbox.start()

    assert after.endpoint_url == before.endpoint_url
    assert s3.list_buckets()["Buckets"] == made
    read = s3.get_object(Bucket="orderly-remembered", Key="a b/ü%2F")
    assert (read["Body"].read(), read["Metadata"]) == (b"\x00\xff" * 500, {"kept_as": "it is"})
    kept = iam.get_role(RoleName="writer")["Role"]
    assert (kept["RoleId"], kept["CreateDate"]) == (role["RoleId"], role["CreateDate"])
    assert [message["Body"] for message in sqs.receive_message(QueueUrl=queue)["Messages"]] == ["one"]
    assert instance_ids(ec2) == [instance["InstanceId"]]


def test_one_token_makes_one_instance_before_and_after_kill_9(sandbox: Any) -> None:
    sandbox.start()
    ec2 = sandbox.client("ec2")
    order = {"ImageId": image(ec2), "MinCount": 1, "MaxCount": 1, "ClientToken": "one-token"}
    first = ec2.run_instances(**order)["Instances"][0]["InstanceId"]
    again = ec2.run_instances(**order)["Instances"][0]["InstanceId"]
    sandbox.kill()
    sandbox.start()
    restarted = ec2.run_instances(**order)["Instances"][0]["InstanceId"]

    assert first == again == restarted
    assert instance_ids(ec2) == [first]
    with pytest.raises(ClientError) as refused:
        ec2.run_instances(**{**order, "MaxCount": 2})
    assert refused.value.response["Error"]["Code"] == "IdempotentParameterMismatch"
    assert instance_ids(ec2) == [first]


def test_a_line_cut_short_by_a_crash_is_taken_off_and_the_rest_kept(sandbox: Any) -> None:
    sandbox.start()
    sandbox.client("s3").create_bucket(Bucket="whole")
    sandbox.kill()
    journal = sandbox.folder / "aws" / "journal"
    whole = journal.read_bytes()
    journal.write_bytes(whole + b'0badc0de {"environ": {"REQ')

    sandbox.start()

    assert [bucket["Name"] for bucket in sandbox.client("s3").list_buckets()["Buckets"]] == ["whole"]
    assert journal.read_bytes().startswith(whole)


def test_damage_within_the_journal_is_refused_with_the_line_and_what_to_do(sandbox: Any) -> None:
    sandbox.start()
    sandbox.client("s3").create_bucket(Bucket="damaged")
    sandbox.kill()
    journal = sandbox.folder / "aws" / "journal"
    journal.write_bytes(journal.read_bytes().replace(b"PUT", b"GET"))

    code = sandbox.launch().wait(60)

    assert code == 2
    said = sandbox.log.read_text()
    assert "line 2: its checksum does not fit" in said
    assert "Delete the file" in said
    assert "Traceback" not in said


def test_what_cannot_be_written_down_is_refused_and_has_not_happened(sandbox: Any) -> None:
    now = sandbox.start()
    s3 = sandbox.client("s3")
    s3.create_bucket(Bucket="before")
    full = (sandbox.folder / "aws" / "journal").stat().st_size + 10
    resource.prlimit(now.pid, resource.RLIMIT_FSIZE, (full, resource.RLIM_INFINITY))

    with pytest.raises(ClientError, match="cannot write down"):
        s3.create_bucket(Bucket="after")
    with pytest.raises(ClientError, match="cannot write down"):
        s3.create_bucket(Bucket="and-again")
    sandbox.kill()
    sandbox.start()

    assert [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]] == ["before"]


def test_a_reset_in_motos_way_is_remembered_too(sandbox: Any) -> None:
    now = sandbox.start()
    sandbox.client("s3").create_bucket(Bucket="gone-soon")
    assert httpx.post(f"{now.endpoint_url}/moto-api/reset").status_code == 200
    assert sandbox.end(signal.SIGTERM) == 0
    sandbox.start()
    assert sandbox.client("s3").list_buckets()["Buckets"] == []


def test_a_second_sandbox_over_the_same_folder_is_refused(sandbox: Any) -> None:
    sandbox.start()
    code = sandbox.launch().wait(60)
    assert code == 2
    assert "runs over" in sandbox.log.read_text()
    assert status(sandbox.state) is not None


def test_concurrent_calls_with_one_token_make_one_instance(running: Any) -> None:
    ec2 = running.client("ec2", region_name="eu-west-1")
    order = {"ImageId": image(ec2), "MinCount": 1, "MaxCount": 1, "ClientToken": "all-at-once"}

    def run(_: int) -> str:
        return str(ec2.run_instances(**order)["Instances"][0]["InstanceId"])

    with ThreadPoolExecutor(8) as callers:
        answers = set(callers.map(run, range(8)))

    assert len(answers) == 1
    assert instance_ids(ec2) == list(answers)


def test_a_token_counts_in_its_own_region_only(running: Any) -> None:
    made = set()
    for region in ("us-west-1", "us-west-2"):
        ec2 = running.client("ec2", region_name=region)
        order = {"ImageId": image(ec2), "MinCount": 1, "MaxCount": 1, "ClientToken": "same"}
        made.add(ec2.run_instances(**order)["Instances"][0]["InstanceId"])
        assert len(instance_ids(ec2)) == 1
    assert len(made) == 2


def test_a_refused_call_does_not_use_its_token_up(running: Any) -> None:
    ec2 = running.client("ec2", region_name="eu-north-1")
    order = {"ImageId": image(ec2), "MinCount": 1, "MaxCount": 1, "ClientToken": "mended"}
    with pytest.raises(ClientError, match="DryRunOperation"):
        ec2.run_instances(**order, DryRun=True)
    made = ec2.run_instances(**order)["Instances"]
    assert instance_ids(ec2) == [made[0]["InstanceId"]]


def test_a_json_services_token_counts_once_at_the_target(running: Any) -> None:
    dynamodb = running.client("dynamodb")
    dynamodb.create_table(
        TableName="counters",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )

    def add(amount: str) -> None:
        dynamodb.transact_write_items(
            ClientRequestToken="add-one",
            TransactItems=[
                {
                    "Update": {
                        "TableName": "counters",
                        "Key": {"id": {"S": "orders"}},
                        "UpdateExpression": "ADD made :n",
                        "ExpressionAttributeValues": {":n": {"N": amount}},
                    }
                }
            ],
        )

    add("1")
    add("1")
    with pytest.raises(dynamodb.exceptions.IdempotentParameterMismatchException):
        add("2")
    assert dynamodb.get_item(TableName="counters", Key={"id": {"S": "orders"}})["Item"]["made"] == {"N": "1"}


def test_a_rest_services_token_counts_once_at_the_target(running: Any) -> None:
    systems = running.client("efs")
    first = systems.create_file_system(CreationToken="share")["FileSystemId"]
    assert systems.create_file_system(CreationToken="share")["FileSystemId"] == first
    assert [found["FileSystemId"] for found in systems.describe_file_systems()["FileSystems"]] == [first]


def test_whoever_waits_for_a_message_does_not_keep_the_sender_waiting(running: Any) -> None:
    sqs = running.client("sqs")
    queue = sqs.create_queue(QueueName="waited-for")["QueueUrl"]
    with ThreadPoolExecutor(1) as waiting:
        received = waiting.submit(lambda: running.client("sqs").receive_message(QueueUrl=queue, WaitTimeSeconds=20))
        sqs.send_message(QueueUrl=queue, MessageBody="here")
        assert [message["Body"] for message in received.result(15)["Messages"]] == ["here"]
