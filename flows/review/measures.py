"""What is measured of a model, by SQL over the history; every figure names the rows it is of."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from flows.review.labels import normalised
from flows.review.statistics.intervals import Interval, share
from flows.review.statistics.survival import kaplan_meier
from flows.review.warehouse import Warehouse
from flows.settings import ReviewSettings
from request_models.durations import say_duration
from request_models.json_values import JsonValue

_SAID_AD_HOC = 5


@dataclass(frozen=True)
class Figure:
    """One figure. `value` is None where it cannot be told; `rows` is SQL that gives the rows it is of."""

    name: str
    unit: str
    value: float | None
    of: int
    rows: str
    low: float | None = None
    high: float | None = None

    def said(self) -> str:
        """For people."""
        if self.value is None:
            return "cannot tell"
        shown = _shown(self.value, self.unit)
        return (
            shown
            if self.low is None or self.high is None
            else f"{shown} ({_shown(self.low, self.unit)} to {_shown(self.high, self.unit)})"
        )


@dataclass(frozen=True)
class Measures:
    """All figures of a model; `by_step`: seconds of work and of waiting before it, retries, rework by step."""

    model: str
    figures: tuple[Figure, ...]
    by_step: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    ad_hoc: Mapping[str, int] = field(default_factory=dict)

    def figure(self, name: str) -> Figure:
        """A figure by its name; raises KeyError."""
        return {one.name: one for one in self.figures}[name]

    def lines(self) -> list[str]:
        """For people."""
        lines = [f"{self.model}"]
        lines += [f"  {one.name}: {one.said()}  [{one.of} rows]" for one in self.figures]
        for path, numbers in self.by_step.items():
            told = ", ".join(f"{name} {number:.3g}" for name, number in numbers.items())
            lines.append(f"  step {path}: {told}")
        lines += [f"  by hand: {label} ({count})" for label, count in list(self.ad_hoc.items())[:_SAID_AD_HOC]]
        return lines

    def to_json(self) -> dict[str, JsonValue]:
        """For programs."""
        figures: dict[str, JsonValue] = {one.name: {**vars(one)} for one in self.figures}
        steps: dict[str, JsonValue] = {path: dict(numbers) for path, numbers in self.by_step.items()}
        return {"figures": figures, "steps": steps, "ad_hoc": dict(self.ad_hoc)}


def measure(history: Warehouse, model: str, settings: ReviewSettings | None = None) -> Measures:
    """Measure one model."""
    return _Measuring(history, model, settings or ReviewSettings()).measures()


def most_asked_for(history: Warehouse) -> list[tuple[str, int]]:
    """The models by how often they were asked for: where improving starts (practice, row 22)."""
    rows = history.rows("SELECT model, count(*) FROM requests WHERE model IS NOT NULL GROUP BY 1 ORDER BY 2 DESC, 1")
    return [(str(model), int(count)) for model, count in rows]


class _Measuring:
    def __init__(self, history: Warehouse, model: str, settings: ReviewSettings) -> None:
        self._history = history
        self._settings = settings
        self._model = model
        self._mine = f"model = '{model.replace(chr(39), chr(39) * 2)}'"

    def measures(self) -> Measures:
        figures = (
            self._count("volume", "TRUE"),
            *self._times(),
            self._share("due kept", "due_seconds IS NOT NULL AND state = 'fulfilled'", _KEPT),
            self._share("zero touch", "state = 'fulfilled'", f"NOT {_TOUCHED}"),
            self._share("undone", "ended IS NOT NULL", "id IN (SELECT request FROM steps WHERE outcome = 'undone')"),
            self._share(
                "rework",
                "started IS NOT NULL",
                "id IN (SELECT request FROM touches WHERE kind IN ('retry', 'fix', 'complete'))",
            ),
            self._share("retried", "started IS NOT NULL", "id IN (SELECT request FROM steps WHERE attempt > 1)"),
            self._minutes(),
            *self._cost(),
            *self._satisfaction(),
        )
        return Measures(self._model, figures, self._by_step(), self._ad_hoc())

    def _rows(self, where: str) -> str:
        return f"SELECT * FROM requests WHERE {self._mine} AND {where}"

    def _count(self, name: str, where: str) -> Figure:
        (count,) = self._history.one(f"SELECT count(*) FROM requests WHERE {self._mine} AND {where}")
        return Figure(name, "requests", float(count), count, self._rows(where))

    def _share(self, name: str, of: str, hits: str) -> Figure:
        where = f"{self._mine} AND {of}"
        count, found = self._history.one(f"SELECT count(*), count(*) FILTER (WHERE {hits}) FROM requests WHERE {where}")
        if not count:
            return Figure(name, "share", None, 0, self._rows(of))
        exact = share(found, count)
        return Figure(name, "share", exact.estimate, count, self._rows(of), exact.low, exact.high)

    def _times(self) -> list[Figure]:
        where = f"{self._mine} AND submitted IS NOT NULL AND state NOT IN ('cancelled', 'rejected', 'failed')"
        columns = self._history.columns(
            f"""
            WITH latest AS (SELECT max(greatest(coalesce(ended, 0), submitted)) AS moment FROM requests)
            SELECT greatest((coalesce(ended, moment) - submitted) / 1e6 - coalesce(clock_stopped_seconds, 0), 0.0)
                    AS seconds,
                state = 'fulfilled' AND ended IS NOT NULL AS finished
            FROM requests, latest WHERE {where} ORDER BY seconds, finished
            """
        )
        curve = kaplan_meier(columns["seconds"].tolist(), columns["finished"].tolist())
        figures = []
        for name, q in (("time to fulfil, median", 0.5), ("time to fulfil, 95th percentile", 0.95)):
            found: Interval | None = curve.quantile(q)
            bounds = (None, None, None) if found is None else (found.estimate, found.low, found.high)
            figures.append(
                Figure(name, "seconds", bounds[0], curve.count, self._rows("submitted IS NOT NULL"), *bounds[1:])
            )
        return figures

    def _minutes(self) -> Figure:
        rows = f"SELECT touches.* FROM touches JOIN requests ON id = request WHERE {self._mine}"
        count, minutes = self._history.one(
            f"SELECT count(*), {_exact('coalesce(minutes, (ended - started) / 60e6)')} FROM ({rows})"
        )
        (requests,) = self._history.one(f"SELECT count(*) FROM requests WHERE {self._mine}")
        value = float(minutes or 0.0) / requests if requests else None
        return Figure("minutes of people, a request", "minutes", value, count, rows)

    def _cost(self) -> list[Figure]:
        minute = self._settings.cost_per_minute
        if minute is None:
            return []
        minutes = self._minutes()
        fixed = self._settings.cost_per_request.get(self._model, 0.0)
        value = None if minutes.value is None else minutes.value * minute + fixed
        return [Figure("cost, a request", "money", value, minutes.of, minutes.rows)]

    def _satisfaction(self) -> list[Figure]:
        rows = f"SELECT feedback.* FROM feedback JOIN requests ON id = request WHERE {self._mine}"
        asked, rated, mean = self._history.one(
            f"SELECT count(*), count(rating), {_exact('rating')} / nullif(count(rating), 0) FROM ({rows})"
        )
        silent = share(asked - rated, asked) if asked else Interval(math.nan, 0.0, 1.0)
        told = (silent.estimate, silent.low, silent.high) if asked else (None, None, None)
        return [
            Figure("satisfaction, mean rating", "", mean, rated, f"{rows} AND rating IS NOT NULL"),
            Figure("asked and silent", "share", told[0], asked, rows, *told[1:]),
        ]

    def _by_step(self) -> dict[str, dict[str, float]]:
        found = self._history.each(
            f"""
            SELECT path, count(DISTINCT request) AS requests, avg(s.ended - s.started) / 1e6 AS work_seconds,
                avg(s.started - s.queued) / 1e6 AS wait_seconds, count(*) FILTER (WHERE attempt > 1) AS retries,
                count(*) FILTER (WHERE outcome = 'failed') AS failures
            FROM steps s JOIN requests ON id = request WHERE {self._mine} GROUP BY path ORDER BY path
            """
        )
        return {
            str(row["path"]): {
                name: float(value) for name, value in row.items() if name != "path" and value is not None
            }
            for row in found
        }

    def _ad_hoc(self) -> dict[str, int]:
        """The work by hand that came back: requests by label, the most frequent first."""
        rows = self._history.rows(
            "SELECT DISTINCT label, request FROM touches JOIN requests ON id = request "
            f"WHERE {self._mine} AND label IS NOT NULL"
        )
        requests: dict[str, set[str]] = {}
        for label, request in rows:
            requests.setdefault(normalised(label), set()).add(request)
        ordered = sorted(requests.items(), key=lambda one: (-len(one[1]), one[0]))
        return {label: len(found) for label, found in ordered if label and len(found) > 1}


def _exact(value: str) -> str:
    """The sum of numbers, the same in whatever order they come: threads add as they please."""
    return f"(sum(CAST(round(({value}) * 1e6) AS BIGINT)) / 1e6)"


_KEPT = "(ended - submitted) / 1e6 - coalesce(clock_stopped_seconds, 0) <= due_seconds"
_TOUCHED = "EXISTS (SELECT 1 FROM touches WHERE touches.request = id)"


def _shown(value: float, unit: str) -> str:
    match unit:
        case "seconds":
            return say_duration(value)
        case "share":
            return f"{value:.1%}"
        case _:
            return f"{value:.6g}{f' {unit}' if unit else ''}"
