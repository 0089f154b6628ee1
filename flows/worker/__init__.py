"""The worker: takes flow runs from Prefect and runs each in a process of its own.

Prefect finds the worker type through the entry point `prefect.collections`, which names the module `pool_worker`; this
package imports nothing itself, so that the process of a flow run does not pay for the worker's imports.
"""
