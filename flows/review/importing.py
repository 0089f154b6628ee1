"""The log of any ITSM tool made a history, by a declarative mapping: a YAML file that names columns, never code.

A CSV file has one row an event (an audit log) or one row a request; rows with the same id are one request's.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from flows.review.history import TABLES, HistoryError, Kind
from flows.review.warehouse import Warehouse, named, quoted

SHIPPED = Path(__file__).parent / "mappings"


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Take(_Part):
    """Where a column of the history comes from: one column of the log, or a constant."""

    column: str | None = None
    constant: str | int | float | bool | None = None
    take: Literal["first", "last", "least", "greatest"] = "first"
    """Which of a request's rows tells; `least` and `greatest` compare, moments as moments."""
    values: dict[str, str] = {}
    """What the log's words mean in ours."""
    otherwise: str | None = None
    """What words that are not in `values` mean; without it they stay as they are."""
    only_when: dict[str, list[str]] = {}
    """Only rows where these columns hold one of these values tell."""

    @model_validator(mode="after")
    def _one_source(self) -> "Take":
        if (self.column is None) == (self.constant is None):
            raise ValueError("give `column` or `constant`, one of the two")
        return self


Taken = Annotated[Take | str, Field(union_mode="left_to_right")]


class Visits(_Part):
    """Steps from an audit log: each stay in a value of `column` is a step, from one change of it to the next."""

    column: str
    prefix: str = ""
    not_a_step: list[str] = []
    """Values in which nothing is done: the request is over."""


class Touches(_Part):
    """What people did: each change of `column` is one, by `actor`."""

    column: str
    kind: str = "hand_over"
    actor: str | None = None
    team: str | None = None


class Mapped(_Part):
    """A mapping file."""

    format: Literal["orderly-history-map/1"]
    source: str
    delimiter: str = ","
    moments: list[str] = Field(min_length=1)
    """How the log writes moments, as strptime takes them; the first that fits is taken."""
    zone: str = "UTC"
    absent: list[str] = [""]
    """What the log writes where there is no value."""
    id: str
    at: str
    order: list[str] = []
    """Columns of numbers that put a request's rows in order, where moments are too coarse."""
    requests: dict[str, Taken]
    inputs: dict[str, Taken] = {}
    steps: Visits | None = None
    touches: Touches | None = None


def read_mapping(name: str) -> Mapped:
    """A mapping by its file, or by the name of a shipped one. Raises HistoryError with each thing that is wrong."""
    file = Path(name)
    if not file.is_file() and (SHIPPED / f"{name}.yaml").is_file():
        file = SHIPPED / f"{name}.yaml"
    try:
        return Mapped.model_validate(YAML(typ="safe").load(file.read_text(encoding="utf-8")))
    except OSError as error:
        shipped = ", ".join(sorted(one.stem for one in SHIPPED.glob("*.yaml")))
        raise HistoryError(f"The mapping {name} cannot be read: {error.strerror}. Shipped ones: {shipped}.") from error
    except (YAMLError, UnicodeDecodeError) as error:
        raise HistoryError(f"The mapping {file} is not YAML: {error}") from error
    except ValidationError as error:
        faults = [f"  {'.'.join(str(part) for part in one['loc'])}: {one['msg']}" for one in error.errors()]
        raise HistoryError("\n".join([f"The mapping {file} is wrong:", *faults])) from error


def import_log(mapping: Mapped, log: Path, folder: Path, *, lines: bool = False) -> Mapping[str, int]:
    """Write the history that a log tells into a folder; gives the rows of each table.

    Raises HistoryError when the log cannot be read, lacks a column, or holds moments that no format fits.
    """
    if not log.is_file():
        raise HistoryError(f"There is no file {log}.")
    unknown = sorted(set(mapping.requests) - set(TABLES["requests"].names))
    if unknown:
        raise HistoryError(f"The mapping fills {', '.join(unknown)}, which the table `requests` does not have.")
    with Warehouse.empty() as warehouse:
        work = _Import(mapping, log, warehouse)
        work.read()
        for table in TABLES.values():
            warehouse.make(table)
        work.fill()
        return warehouse.write(folder, lines=lines)


class _Import:
    """One log being read; the SQL is made of quoted names and literals of the mapping only."""

    def __init__(self, mapping: Mapped, log: Path, warehouse: Warehouse) -> None:
        self._map = mapping
        self._log = log
        self._warehouse = warehouse

    def read(self) -> None:
        absent = ", ".join(quoted(word) for word in self._map.absent)
        options = f"all_varchar = true, header = true, delim = {quoted(self._map.delimiter)}, nullstr = [{absent}]"
        try:
            reading = f"read_csv({quoted(str(self._log))}, {options})"
            self._warehouse.run(f"CREATE TABLE raw AS SELECT row_number() OVER () AS place, * FROM {reading}")
        except Exception as error:
            if type(error).__module__.partition(".")[0] not in {"duckdb", "_duckdb"}:
                raise
            first = str(error).strip().splitlines()[0][:300]
            raise HistoryError(f"{self._log} cannot be read as CSV: {first}") from error
        present = {str(row[0]) for row in self._warehouse.rows("DESCRIBE raw")}
        lacking = sorted(set(self._columns()) - present)
        if lacking:
            raise HistoryError(f"{self._log} has no column {', '.join(lacking)}, which the mapping reads.")
        self._check_moments()
        order = [*(f"try_cast({named(name)} AS DOUBLE)" for name in self._map.order), "place"]
        ordered = ", ".join([f"{self._moment(self._map.at)}", *order])
        self._warehouse.run(
            f"CREATE TABLE log AS SELECT *, {named(self._map.id)} AS id_, {self._moment(self._map.at)} AS at_, "
            f"row_number() OVER (ORDER BY {ordered}) AS n_ FROM raw WHERE {named(self._map.id)} IS NOT NULL"
        )

    def fill(self) -> None:
        self._requests()
        if self._map.steps is not None:
            self._steps(self._map.steps)
        if self._map.touches is not None:
            self._touches(self._map.touches)

    def _columns(self) -> Iterator[str]:
        yield from (self._map.id, self._map.at, *self._map.order)
        for taken in (*self._map.requests.values(), *self._map.inputs.values()):
            one = _as_take(taken)
            yield from ((one.column,) if one.column is not None else ())
            yield from one.only_when
        if self._map.steps is not None:
            yield self._map.steps.column
        if self._map.touches is not None:
            yield from (
                name for name in (self._map.touches.column, self._map.touches.actor, self._map.touches.team) if name
            )

    def _moment_columns(self) -> set[str]:
        moments = {column.name for column in TABLES["requests"].columns if column.kind is Kind.MOMENT}
        taken = (_as_take(self._map.requests[name]).column for name in moments & set(self._map.requests))
        return {self._map.at, *(name for name in taken if name is not None)}

    def _check_moments(self) -> None:
        for name in sorted(self._moment_columns()):
            bad = self._warehouse.rows(
                f"SELECT {named(name)}, place FROM raw "
                f"WHERE {named(name)} IS NOT NULL AND {self._moment(name)} IS NULL "
                "ORDER BY place LIMIT 1"
            )
            if bad:
                raise HistoryError(
                    f"{self._log}, row {bad[0][1]}: {name} is {bad[0][0]!r}, which none of the formats "
                    f"{', '.join(self._map.moments)} fits."
                )

    def _moment(self, name: str) -> str:
        """Microseconds since 1970 of a column that holds moments."""
        formats = ", ".join(quoted(one) for one in self._map.moments)
        parsed = f"try_strptime({named(name)}, [{formats}])"
        there = "" if self._map.zone == "UTC" else f" AT TIME ZONE {quoted(self._map.zone)}"
        return f"epoch_us({parsed}{there})"

    def _value(self, taken: Take | str, kind: Kind) -> str:
        """What a request's rows tell of one column, as SQL of an aggregation by request."""
        one = _as_take(taken)
        if one.column is None:
            constant = one.constant
            literal = quoted(constant) if isinstance(constant, str) else str(constant)
            return f"CAST({literal} AS {kind.sql})"
        value = self._moment(one.column) if kind is Kind.MOMENT else self._meant(one)
        told = " AND ".join(
            f"{named(column)} IN ({', '.join(quoted(word) for word in words)})"
            for column, words in one.only_when.items()
        )
        given = f" FILTER (WHERE {value} IS NOT NULL{f' AND {told}' if told else ''})"
        match one.take:
            case "first" | "last":
                found = f"arg_{'min' if one.take == 'first' else 'max'}({value}, n_){given}"
            case _:
                found = f"{'min' if one.take == 'least' else 'max'}({value}){given}"
        return f"CAST({found} AS {kind.sql})"

    def _meant(self, one: Take) -> str:
        column = named(str(one.column))
        if not one.values:
            return column
        cases = " ".join(f"WHEN {quoted(word)} THEN {quoted(ours)}" for word, ours in one.values.items())
        rest = column if one.otherwise is None else quoted(one.otherwise)
        return f"CASE {column} {cases} ELSE {rest} END"

    def _requests(self) -> None:
        chosen = []
        for column in TABLES["requests"].columns:
            if column.name == "id":
                chosen.append("id_ AS id")
            elif column.name == "inputs":
                parts = [f"{quoted(name)}, {self._value(taken, Kind.TEXT)}" for name, taken in self._map.inputs.items()]
                chosen.append(f"CAST(json_object({', '.join(parts)}) AS VARCHAR) AS inputs")
            elif column.name in self._map.requests:
                chosen.append(f"{self._value(self._map.requests[column.name], column.kind)} AS {named(column.name)}")
            else:
                chosen.append(f"CAST(NULL AS {column.kind.sql}) AS {named(column.name)}")
        self._warehouse.run(f"INSERT INTO requests BY NAME SELECT {', '.join(chosen)} FROM log GROUP BY id_")

    def _steps(self, visits: Visits) -> None:
        value = named(visits.column)
        over = ", ".join(quoted(word) for word in visits.not_a_step) or "NULL"
        prefix = quoted(visits.prefix)
        self._warehouse.run(
            f"""
            WITH changes AS (
                SELECT id_, at_, n_, {value} AS value_,
                       lag({value}) OVER request IS DISTINCT FROM {value} AS changed
                FROM log WINDOW request AS (PARTITION BY id_ ORDER BY n_)
            ), stays AS (
                SELECT id_, at_, n_, value_, lead(at_) OVER (PARTITION BY id_ ORDER BY n_) AS left_
                FROM changes WHERE changed
            )
            INSERT INTO steps BY NAME
            SELECT id_ AS request,
                   {prefix} || trim(regexp_replace(lower(value_), '[^a-z0-9]+', '_', 'g'), '_') AS path,
                   '' AS item_key,
                   row_number() OVER (PARTITION BY id_, value_ ORDER BY n_) AS attempt,
                   value_ AS action, at_ AS queued, at_ AS started, left_ AS ended,
                   CASE WHEN left_ IS NULL THEN NULL ELSE 'changed' END AS outcome, true AS touched
            FROM stays WHERE value_ IS NOT NULL AND value_ NOT IN ({over})
            """
        )

    def _touches(self, touches: Touches) -> None:
        value = named(touches.column)
        actor = "NULL" if touches.actor is None else named(touches.actor)
        team = "NULL" if touches.team is None else named(touches.team)
        self._warehouse.run(
            f"""
            WITH changes AS (
                SELECT id_, at_, {value} AS value_, {actor} AS actor_, {team} AS team_,
                       lag({value}) OVER request AS before_
                FROM log WINDOW request AS (PARTITION BY id_ ORDER BY n_)
            )
            INSERT INTO touches BY NAME
            SELECT id_ AS request, '' AS path, {quoted(touches.kind)} AS kind, actor_ AS actor, team_ AS team,
                   at_ AS started, at_ AS ended
            FROM changes WHERE before_ IS NOT NULL AND value_ IS NOT NULL AND before_ <> value_
            """
        )


def _as_take(taken: Take | str) -> Take:
    return Take(column=taken) if isinstance(taken, str) else taken
