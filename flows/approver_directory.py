"""Whom we know of those who decide, so that mail can reach them: from the settings, and from the API keys."""

from collections.abc import Mapping

from flows.records.records import Transaction
from flows.records.rows import ApiKey, Person
from flows.settings import ApproverSettings


class ApproverDirectory:
    """People by id and by group. `known` are those of the settings, which win."""

    def __init__(self, known: Mapping[str, ApproverSettings]) -> None:
        self._known = known

    def person(self, tx: Transaction, person_id: str) -> Person | None:
        """Somebody we know of."""
        return self._people(tx).get(person_id)

    def members(self, tx: Transaction, group: str) -> list[Person]:
        """Those we know to be in a group, by id."""
        return [one for _, one in sorted(self._people(tx).items()) if group in one.groups]

    def _people(self, tx: Transaction) -> dict[str, Person]:
        people: dict[str, Person] = {}
        for key in tx.api_keys.list():
            if key.revoked is None and (key.expires is None or tx.now() < key.expires):
                people[key.subject] = _with(people.get(key.subject), key)
        for person_id, one in self._known.items():
            people[person_id] = Person(person_id, one.name, one.email, one.groups)
        return people


def _with(known: Person | None, key: ApiKey) -> Person:
    """A person with what another key of his says."""
    groups = dict.fromkeys((*(known.groups if known else ()), *key.groups))
    name, email = (known.name, known.email) if known else ("", "")
    return Person(key.subject, name or key.display_name, email or key.email, tuple(groups))
