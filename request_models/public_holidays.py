"""Public holidays of countries and their parts: the only importer of `holidays`, which is imported when it is asked."""

from datetime import date
from functools import lru_cache


@lru_cache(maxsize=1)
def countries() -> dict[str, tuple[str, ...]]:
    """The countries known, by ISO 3166-1 code, and the codes of their parts (`BE` of `DE`, not `DE-BE`)."""
    import holidays  # noqa: PLC0415 - costs 0.2 s, and most models need no public holidays

    return {country: tuple(parts) for country, parts in holidays.list_supported_countries().items()}


@lru_cache(maxsize=1024)
def public_holidays(country: str, subdivision: str | None, year: int) -> frozenset[date]:
    """The public holidays of a year, substitute days included."""
    import holidays  # noqa: PLC0415 - as above

    return frozenset(holidays.country_holidays(country, subdiv=subdivision, years=year, expand=False))
