"""The health service: builds and launches for real, on a schedule, and keeps the results."""
