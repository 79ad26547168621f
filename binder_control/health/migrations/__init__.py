"""The health service's schema, one alembic revision per file, numbered in their order."""
