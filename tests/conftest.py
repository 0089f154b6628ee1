"""Fixtures of every tier, and the leak check after every test."""

import os
import socket
import uuid
from collections.abc import Callable, Iterator

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import make_url

import leaks
import needs

leaks.adopt_orphans()


def pytest_runtest_setup(item: pytest.Item) -> None:
    for mark in item.iter_markers("needs"):
        needs.require(*mark.args)


@pytest.fixture(autouse=True)
def nothing_left_behind() -> Iterator[None]:
    """No test leaves a process, a thread or a mount. What wider-scoped fixtures started before it may stay."""
    before = leaks.surroundings()
    yield
    left = leaks.left_behind(before)
    if left:
        pytest.fail("the test left behind:\n  " + "\n  ".join(left), pytrace=False)


@pytest.fixture
def free_port() -> Callable[[], int]:
    """Make free TCP ports on the loopback address. Prefer servers that bind port 0 themselves: no other can take it."""

    def make() -> int:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            return int(probe.getsockname()[1])

    return make


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """An SQLAlchemy URL of an empty PostgreSQL database that is dropped at the end."""
    yield from _postgres_database()


@pytest.fixture
def fresh_postgres_url() -> Iterator[str]:
    """Like `postgres_url`, and empty for each test."""
    yield from _postgres_database()


def _postgres_database() -> Iterator[str]:
    needs.require("postgres")
    name = f"orderly_test_{os.getpid()}_{uuid.uuid4().hex[:8]}"
    with psycopg.connect(needs.POSTGRES_ADMIN_URL, autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        try:
            url = make_url(needs.POSTGRES_ADMIN_URL).set(drivername="postgresql+psycopg", database=name)
            yield url.render_as_string(hide_password=False)
        finally:
            admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
