"""The words of decisions in histories, ours and those of other tools."""

GRANTED = "'approve', 'approved', 'grant', 'granted'"
"""As a list of SQL: what counts as given."""
