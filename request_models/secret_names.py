"""Which names of inputs, options and arguments say that a secret is meant."""

import re

_WORDS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_SECRET = re.compile(
    r"(?:^|_)(?:pass(?:word|wd|phrase|code)?s?|pwd|secrets?|secret_string|tokens?|credentials?|"
    r"(?:api|access|private|secret|encryption|signing)_?keys?)$"
)
_OF_A_SECRET = re.compile(r"^(?:update|generate|require|change|expire|force|has|is|use|no|skip|allow|show)_")


def names_a_secret(name: str) -> bool:
    """Whether what bears this name holds a secret: `db_password` does, `password_length` and `update_password` not."""
    spelt = _WORDS.sub("_", name).replace("-", "_").lower()
    return _SECRET.search(spelt) is not None and _OF_A_SECRET.match(spelt) is None
