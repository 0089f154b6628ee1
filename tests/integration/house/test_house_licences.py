"""Everything installed is under a licence that this house may use; nothing is AGPL (design section 6)."""

import importlib.metadata
import re
from importlib.metadata import Distribution

ALLOWED = {
    "0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "CNRI-Python", "ISC", "MIT", "MIT-0", "MPL-2.0", "PSF-2.0",
    "Unlicense", "LGPL-3.0-only", "CC0-1.0", "Zlib",
}  # fmt: skip
"""LGPL-3.0: psycopg, used as a library, replaceable as Python packages are."""

BY_NAME = {
    "ansible-core": "GPL-3.0-or-later: runs in processes of its own; what we put into those is GPL-3.0-or-later too",
    "ansible": "GPL-3.0-or-later: collections whose argument specs our tests read; for development only",
    "ansible-lint": "GPL-3.0-or-later: a tool for development, run as a program",
    "yamllint": "GPL-3.0-or-later: a tool for development, used by ansible-lint",
    "ldap3": "LGPL-3.0: used as a library, replaceable as Python packages are",
    "text-unidecode": "Artistic License or GPL, ours to choose; comes with Prefect (python-slugify)",
    "orderly": "this",
}
"""What no general rule allows, each with the reason it is here."""

SPELLINGS = (
    ("Apache-2.0", r"apache"),
    ("BSD-3-Clause", r"\bbsd\b"),
    ("ISC", r"\bisc\b"),
    ("MPL-2.0", r"mozilla public license 2|mpl[- ]2"),
    ("PSF-2.0", r"python software foundation"),
    ("MIT", r"\bmit\b"),
)
"""How the same licences are written where there is no SPDX expression."""


def stated(distribution: Distribution, key: str) -> list[str]:
    """What the metadata says under one key; an empty list if nothing."""
    value = distribution.metadata.json.get(key, [])
    return [value] if isinstance(value, str) else value


def licences_of(distribution: Distribution) -> set[str]:
    """SPDX names, from the expression if there is one, else from classifiers, else from the free text."""
    for expression in stated(distribution, "license_expression"):
        return set(re.split(r"\s+(?:AND|OR)\s+", re.sub(r"[()]", "", expression)))
    classifiers = [line for line in stated(distribution, "classifier") if line.startswith("License ::")]
    from_classifiers = {name for line in classifiers for name in spelled(line)}
    # Some put the whole text of the licence there: its first line names it.
    return from_classifiers or {
        name for text in stated(distribution, "license") for name in spelled(text.split("\n")[0])
    }


def spelled(text: str) -> set[str]:
    if re.search(r"affero|agpl", text, re.IGNORECASE):
        return {"AGPL"}
    return {name for name, pattern in SPELLINGS if re.search(pattern, text, re.IGNORECASE)} or (
        {"GPL"} if re.search(r"\bl?gpl|general public", text, re.IGNORECASE) else set()
    )


def test_every_installed_distribution_has_a_licence_we_may_use() -> None:
    refused = {
        distribution.name: sorted(licences_of(distribution)) or "no licence stated"
        for distribution in importlib.metadata.distributions()
        if distribution.name not in BY_NAME and not (licences_of(distribution) and licences_of(distribution) <= ALLOWED)
    }
    assert refused == {}


QUOTES_THE_GPL = {"scipy"}
"""Their metadata hold the GPL-3.0 of GCC's runtime library (with its exception); its section 13 names the AGPL."""


def test_nothing_installed_is_agpl() -> None:
    assert [
        distribution.name
        for distribution in importlib.metadata.distributions()
        for key in ("license_expression", "license", "classifier")
        for text in stated(distribution, key)
        if re.search(
            r"affero|agpl", text.split("\n")[0] if distribution.name in QUOTES_THE_GPL else text, re.IGNORECASE
        )
    ] == []


def test_the_check_knows_the_affero_licence_however_it_is_written() -> None:
    assert spelled("License :: OSI Approved :: GNU Affero General Public License v3") == {"AGPL"}
    assert spelled("AGPL-3.0-or-later") == {"AGPL"}
    assert spelled("GNU GPL v2") == {"GPL"}
