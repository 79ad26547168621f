"""The schema of the build service."""
