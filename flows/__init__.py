"""WHEN and WHETHER: the application.

`lifecycle` takes orders and decides; `records/` keeps them; `dispatch`, `keeper` and `reconciliation` bring them to
Prefect and see that none is lost; `worker/` runs them, each in a process of its own, through `entry`, `lowering` and
`execution`. `api/` and `cli` are the two ways in, and both call `lifecycle`. `sandbox/` is an estate to act on.
`wiring` puts it all together; `settings` says how.
"""
