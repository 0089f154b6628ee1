"""Ansible playbooks as actions: `runbook.<playbook>`. The only importer of ansible_runner."""

from connectors.runbook.connector import RunbookConnector, connector
from connectors.runbook.errors import BadMeta, RunbookError, UnsafeRunbook

__all__ = ["BadMeta", "RunbookConnector", "RunbookError", "UnsafeRunbook", "connector"]
