"""The tables. Values are canonical JSON bytes, times UTC microseconds, texts exact (see `column_types`).

A change here needs a migration; a test compares the two.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)

from flows.records.column_types import (
    ExactText,
    JsonBytes,
    KeyText,
    Moment,
    NamesBytes,
    PersonBytes,
    SealedBytes,
    StateText,
)
from flows.records.states import AttemptOutcome, EffectState, RequestState, StepState, TaskState, TouchKind
from request_models.actions import ErrorClass, Outcome

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

SerialInteger = BigInteger().with_variant(Integer(), "sqlite")
"""SQLite counts up by itself only in a column that is exactly INTEGER."""

plans = Table(
    "plans",
    metadata,
    Column("digest", Text, primary_key=True),
    Column("model", ExactText, nullable=False),
    Column("plan", JsonBytes, nullable=False),
    Column("stored", Moment, nullable=False),
)

contents = Table(
    "contents",
    metadata,
    Column("digest", Text, primary_key=True),
    Column("archive", LargeBinary, nullable=False),
    Column("stored", Moment, nullable=False),
)

publications = Table(
    "publications",
    metadata,
    Column("model", ExactText, primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("digest", Text, ForeignKey("plans.digest"), nullable=False),
    Column("published", Moment, nullable=False),
    Column("retired", Moment),
    Index(
        "ix_publications_one_current",
        "model",
        unique=True,
        sqlite_where=text("retired IS NULL"),
        postgresql_where=text("retired IS NULL"),
    ),
)

requests = Table(
    "requests",
    metadata,
    Column("id", ExactText, primary_key=True),
    Column("model", ExactText, nullable=False),
    Column("model_version", Integer, nullable=False),
    Column("plan_digest", Text, ForeignKey("plans.digest"), nullable=False),
    Column("arm", ExactText),
    Column("requester_id", ExactText, nullable=False),
    Column("requester", PersonBytes, nullable=False),
    Column("requested_for_id", ExactText, nullable=False),
    Column("requested_for", PersonBytes, nullable=False),
    Column("caller", ExactText, nullable=False),
    Column("channel", ExactText, nullable=False),
    Column("source_system", KeyText),
    Column("source_id", KeyText),
    Column("source_url", ExactText),
    Column("search_text", Text, nullable=False),
    Column("inputs", SealedBytes, nullable=False),
    Column("frozen_values", SealedBytes),  # VALUES is a word of SQL
    Column("outputs", SealedBytes),
    Column("submitted", Moment, nullable=False),
    Column("started", Moment),
    Column("ended", Moment),
    Column("closed_at", Moment),
    Column("state", StateText(RequestState), nullable=False),
    Column("state_reason", ExactText, nullable=False),
    Column("state_since", Moment, nullable=False),
    Column("wake_at", Moment),
    Column("not_before", Moment),
    Column("hold_team", ExactText),
    Column("hold_assignee", ExactText),
    Column("due_at", Moment),
    Column("due_seconds", Float),
    Column("due_calendar", JsonBytes),
    Column("clock_stops_in", NamesBytes, nullable=False),
    Column("clock_stopped_seconds", Float, nullable=False),
    Column("parent", ExactText, ForeignKey("requests.id")),
    Column("cancelled_by", ExactText),
    Column("flow_run_id", ExactText, unique=True),
    Column("dispatch_key", ExactText),
    Column("dispatches", Integer, nullable=False),
    Column("version", Integer, nullable=False),
    Column("audit_count", Integer, nullable=False),
    Column("audit_head", Text, nullable=False),
    Index(None, "submitted", "id"),
    Index(None, "state", "submitted"),
    Index(None, "model", "submitted"),
    Index(None, "requester_id", "submitted"),
    Index(None, "requested_for_id", "submitted"),
    Index(None, "source_system", "source_id"),
    Index(None, "parent"),
)

idempotency = Table(
    "idempotency",
    metadata,
    Column("caller", KeyText, primary_key=True),
    Column("key", KeyText, primary_key=True),
    Column("body_digest", Text, nullable=False),
    Column("request_id", ExactText, ForeignKey("requests.id"), nullable=False),
    Column("stored", Moment, nullable=False),
)

claims = Table(
    "claims",
    metadata,
    Column("request_id", ExactText, ForeignKey("requests.id"), primary_key=True),
    Column("epoch", Integer, nullable=False),
    Column("flow_run_id", ExactText, nullable=False),
    Column("host", ExactText, nullable=False),
    Column("boot_id", ExactText, nullable=False),
    Column("pid", BigInteger, nullable=False),
    Column("pid_started", BigInteger, nullable=False),
    Column("taken", Moment, nullable=False),
    Column("expires", Moment, nullable=False),
    Column("released", Boolean, nullable=False),
)

steps = Table(
    "steps",
    metadata,
    Column("request_id", ExactText, ForeignKey("requests.id"), primary_key=True),
    Column("path", KeyText, primary_key=True),
    Column("item_key", KeyText, primary_key=True),
    Column("state", StateText(StepState), nullable=False),
    Column("arguments", SealedBytes, nullable=False),
    Column("hosts", NamesBytes, nullable=False),
    Column("target", JsonBytes, nullable=False),
    Column("when_value", Boolean),
    Column("result", SealedBytes),
    Column("message", ExactText, nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("started", Moment, nullable=False),
    Column("taken_up", Moment, nullable=False),
    Column("ended", Moment),
    Column("position", Integer, nullable=False),  # order of start, for show
)

blocks = Table(
    "blocks",
    metadata,
    Column("request_id", ExactText, ForeignKey("requests.id"), primary_key=True),
    Column("place", KeyText, primary_key=True),
    Column("item_key", KeyText, primary_key=True),
    Column("state", StateText(StepState), nullable=False),
    Column("when_value", Boolean),
    Column("items", SealedBytes),
    Column("message", ExactText, nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("started", Moment, nullable=False),
    Column("ended", Moment),
)

attempts = Table(
    "attempts",
    metadata,
    Column("request_id", ExactText, ForeignKey("requests.id"), primary_key=True),
    Column("path", KeyText, primary_key=True),
    Column("item_key", KeyText, primary_key=True),
    Column("attempt", Integer, primary_key=True, autoincrement=False),
    Column("action", ExactText, nullable=False),
    Column("queued", Moment, nullable=False),
    Column("started", Moment, nullable=False),
    Column("ended", Moment),
    Column("outcome", StateText(AttemptOutcome)),
    Column("error_class", StateText(ErrorClass)),
    Column("error_code", ExactText),
    Column("message", ExactText, nullable=False),
    Column("supplier", ExactText),
    Column("touched", Boolean, nullable=False),
    Column("progress", SealedBytes),
    Column("epoch", Integer, nullable=False),
)

effects = Table(
    "effects",
    metadata,
    Column("id", SerialInteger, primary_key=True),
    Column("request_id", ExactText, ForeignKey("requests.id"), nullable=False),
    Column("path", KeyText, nullable=False),
    Column("item_key", KeyText, nullable=False),
    Column("generation", Integer, nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("token", Uuid, nullable=False),
    Column("action", ExactText, nullable=False),
    Column("state", StateText(EffectState), nullable=False),
    Column("outcome", StateText(Outcome)),
    Column("before", SealedBytes),
    Column("pre_read", SealedBytes),
    Column("opened", Moment, nullable=False),
    Column("closed", Moment),
    Column("closing", Integer),  # order in which they were closed
    Column("token_expires", Moment),
    UniqueConstraint("request_id", "path", "item_key", "generation"),
)

undos = Table(
    "undos",
    metadata,
    Column("request_id", ExactText, ForeignKey("requests.id"), primary_key=True),
    Column("ends_as", StateText(RequestState), nullable=False),
    Column("actor", ExactText, nullable=False),
    Column("why", ExactText, nullable=False),
    Column("asked", Moment, nullable=False),
    Column("leaves", Boolean, nullable=False),
    Column("left_over", JsonBytes, nullable=False),
)

tasks = Table(
    "tasks",
    metadata,
    Column("id", ExactText, primary_key=True),
    Column("request_id", ExactText, ForeignKey("requests.id"), nullable=False),
    Column("path", KeyText, nullable=False),
    Column("item_key", KeyText, nullable=False),
    Column("generation", Integer, nullable=False),
    Column("team", KeyText, nullable=False),
    Column("assignee", KeyText),
    Column("title", SealedBytes, nullable=False),
    Column("instructions", SealedBytes, nullable=False),
    Column("returns", JsonBytes, nullable=False),
    Column("secret_results", NamesBytes, nullable=False),
    Column("state", StateText(TaskState), nullable=False),
    Column("created", Moment, nullable=False),
    Column("due", Moment),
    Column("overdue", Moment),
    Column("result", SealedBytes),
    Column("done", Moment),
    Column("by", ExactText),
    Column("why", ExactText, nullable=False),
    Column("minutes", Float),
    Column("version", Integer, nullable=False),
    UniqueConstraint("request_id", "path", "item_key", "generation"),
    Index(None, "state", "created"),
    Index(None, "team", "state"),
)

task_notes = Table(
    "task_notes",
    metadata,
    Column("id", SerialInteger, primary_key=True),
    Column("task_id", ExactText, ForeignKey("tasks.id"), nullable=False),
    Column("at", Moment, nullable=False),
    Column("actor", ExactText, nullable=False),
    Column("event", Text, nullable=False),
    Column("text", ExactText, nullable=False),
    Index(None, "task_id"),
)

touches = Table(
    "touches",
    metadata,
    Column("id", SerialInteger, primary_key=True),
    Column("request_id", ExactText, ForeignKey("requests.id"), nullable=False),
    Column("path", ExactText, nullable=False),
    Column("item_key", ExactText, nullable=False),
    Column("kind", StateText(TouchKind), nullable=False),
    Column("actor", ExactText, nullable=False),
    Column("team", ExactText),
    Column("started", Moment, nullable=False),
    Column("ended", Moment, nullable=False),
    Column("minutes", Float),
    Column("label", ExactText),
    Column("why", ExactText, nullable=False),
    Index(None, "request_id"),
)

events = Table(
    "events",
    metadata,
    Column("id", SerialInteger, primary_key=True),
    Column("sender", KeyText, nullable=False),
    Column("sender_id", KeyText),
    Column("event", KeyText, nullable=False),
    Column("key", KeyText),
    Column("data", Text, nullable=False),  # encrypted: it is nobody's request's yet, and may hold a secret
    Column("received", Moment, nullable=False),
    UniqueConstraint("sender", "sender_id"),
    Index(None, "event", "received"),
    Index(None, "received"),
)

event_waits = Table(
    "event_waits",
    metadata,
    Column("id", SerialInteger, primary_key=True),
    Column("request_id", ExactText, ForeignKey("requests.id"), nullable=False),
    Column("path", KeyText, nullable=False),
    Column("item_key", KeyText, nullable=False),
    Column("generation", Integer, nullable=False),
    Column("event", KeyText, nullable=False),
    Column("key", KeyText),
    Column("began", Moment, nullable=False),
    Column("until", Moment),
    Column("event_id", BigInteger),
    Column("settled", Moment),
    UniqueConstraint("request_id", "path", "item_key", "generation"),
    Index(None, "event", "settled"),
    Index(None, "event_id"),
)

outbox = Table(
    "outbox",
    metadata,
    Column("id", SerialInteger, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("request_id", ExactText, ForeignKey("requests.id")),
    Column("payload", JsonBytes, nullable=False),
    Column("created", Moment, nullable=False),
    Column("available_at", Moment, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("error", ExactText),
    Column("done", Moment),
    Index(
        "ix_outbox_waiting",
        "kind",
        "available_at",
        sqlite_where=text("done IS NULL"),
        postgresql_where=text("done IS NULL"),
    ),
)

audit = Table(
    "audit",
    metadata,
    Column("request_id", ExactText, ForeignKey("requests.id"), primary_key=True),
    Column("sequence", Integer, primary_key=True, autoincrement=False),
    Column("at", Moment, nullable=False),
    Column("actor", ExactText, nullable=False),
    Column("event", ExactText, nullable=False),
    Column("from_state", StateText(RequestState)),
    Column("to_state", StateText(RequestState)),
    Column("why", ExactText),
    Column("why_salt", LargeBinary),
    Column("why_digest", Text, nullable=False),
    Column("hash", Text, nullable=False),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", ExactText, primary_key=True),
    Column("name", ExactText, nullable=False),
    Column("key_digest", LargeBinary, nullable=False),
    Column("subject", ExactText, nullable=False),
    Column("scopes", NamesBytes, nullable=False),
    Column("groups", NamesBytes, nullable=False),
    Column("display_name", ExactText, nullable=False),
    Column("email", ExactText, nullable=False),
    Column("manager", ExactText),
    Column("created", Moment, nullable=False),
    Column("expires", Moment),
    Column("revoked", Moment),
)

secrets = Table(
    "secrets",
    metadata,
    # deferred: the inputs of a request are sealed before its row can be written, in the same transaction
    Column(
        "request_id",
        ExactText,
        ForeignKey("requests.id", deferrable=True, initially="DEFERRED"),
        primary_key=True,
    ),
    # SHA-256 of owner and pointer: a pointer holds keys a user chose, which may be too long for an index
    Column("field", Text, primary_key=True),
    Column("owner", ExactText, nullable=False),
    Column("pointer", ExactText, nullable=False),
    Column("key_id", Text, nullable=False),
    Column("nonce", LargeBinary, nullable=False),
    Column("ciphertext", LargeBinary, nullable=False),
)
