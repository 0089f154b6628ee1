"""The review: run history becomes measures, findings with their uncertainty, and edits to the models.

`history` is the documented format, `warehouse` the only importer of DuckDB, `statistics` the only one of numpy and
scipy. A history is read from files only; `exporting` writes them from the records.
"""
