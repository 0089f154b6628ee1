"""AWS: every operation of every service is an action, typed by its shape.

The only package that imports boto3 or botocore.
"""

from collections.abc import Mapping

from connectors.aws.actions import AwsConnector
from connectors.aws.settings import AwsSettings
from connectors.registry import ConnectorContext
from request_models.json_values import JsonValue


def connector(settings: Mapping[str, JsonValue], context: ConnectorContext) -> AwsConnector:
    """Entry point `aws`. Raises pydantic.ValidationError, ValueError for wrong settings, EffectsInvalid, OSError."""
    checked = AwsSettings.model_validate(dict(settings))
    if context.environment == "prod":
        checked.refuse_clear_keys()
    return AwsConnector(checked, context.content_folders)
