"""What was asked, pinned, done and undone: the only importer of SQLAlchemy and Alembic (design section 1).

Open them with `flows.records.records.Records`.
"""
