"""Models to measure with: eight steps over four services each, all different."""

from pathlib import Path


def write_models(folder: Path, count: int) -> Path:
    """Write so many models into a folder that is made; gives the file of the one in the middle."""
    folder.mkdir(parents=True)
    files = [folder / f"bucket-{number:04}.yaml" for number in range(count)]
    for number, file in enumerate(files):
        text = _MODEL.replace("NUMBER", f"{number:04}").replace("DAYS", str(number % 3000 + 1))
        file.write_text(text, encoding="utf-8")
    return files[count // 2]


_MODEL = """\
model: bucket-NUMBER
title: Bucket number NUMBER
kind: resource
service: object-storage
owners: {accountable: storage-owner, responsible: [platform]}
target: {aws: {region: "{{ inputs.region }}"}}
inputs:
  project: {type: string, pattern: "^[a-z][a-z0-9-]{1,19}[a-z0-9]$", title: Project}
  region: {type: string, enum: [eu-west-1, us-east-1], default: eu-west-1}
  days: {type: integer, minimum: 1, maximum: 3650, default: DAYS}
values: {bucket: "orderly-NUMBER-{{ inputs.project }}"}
due: {within: PT1H}
steps:
  - id: create
    title: Creating the bucket
    uses: aws.s3.create_bucket
    with:
      Bucket: "{{ values.bucket }}"
      CreateBucketConfiguration: "{{ {'LocationConstraint': 'eu-west-1'} if inputs.region != 'us-east-1' else omit }}"
    retry: {attempts: 4, delay: PT2S, factor: 2}
    undo: {uses: aws.s3.delete_bucket, with: {Bucket: "{{ args.Bucket }}"}}
  - id: encrypt
    uses: aws.s3.put_bucket_encryption
    with:
      Bucket: "{{ values.bucket }}"
      ServerSideEncryptionConfiguration: {Rules: [{ApplyServerSideEncryptionByDefault: {SSEAlgorithm: AES256}}]}
    undo: {covered_by: create}
  - id: tag
    uses: aws.s3.put_bucket_tagging
    with:
      Bucket: "{{ values.bucket }}"
      Tagging: {TagSet: [{Key: project, Value: "{{ inputs.project }}"}, {Key: number, Value: "NUMBER"}]}
    undo: {covered_by: create}
  - id: block
    uses: aws.s3.put_public_access_block
    with: {Bucket: "{{ values.bucket }}", PublicAccessBlockConfiguration: {BlockPublicAcls: true}}
    undo: {covered_by: create}
  - id: policy
    uses: aws.iam.create_policy
    with:
      PolicyName: "p-NUMBER-{{ inputs.project }}"
      PolicyDocument: "{{ {'Version': '2012-10-17', 'Statement': [{'Effect': 'Allow', 'Action': 's3:*'}]} | tojson }}"
    undo: {uses: aws.iam.delete_policy, when: result is defined, with: {PolicyArn: "{{ result.Policy.Arn }}"}}
  - id: queue
    when: inputs.days > 30
    uses: aws.sqs.create_queue
    with: {QueueName: "q-NUMBER-{{ inputs.project }}"}
    undo: {uses: aws.sqs.delete_queue, when: result is defined, with: {QueueUrl: "{{ result.QueueUrl }}"}}
  - id: look
    uses: aws.s3.head_bucket
    with: {Bucket: "{{ values.bucket }}"}
    expect: result is defined
  - id: tell
    uses: mail.send
    with: {to: "{{ user.email }}", subject: Your bucket, text: "It is {{ values.bucket }}."}
    undo: {none: A mail cannot be called back.}
outputs:
  bucket: {value: "{{ values.bucket }}", title: Bucket}
  policy: {value: "{{ steps.policy.result.Policy.Arn }}"}
"""
