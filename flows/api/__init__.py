"""The HTTP API that ITSM front-ends order through: no business rule lives here, and no Prefect is asked (design 2)."""
