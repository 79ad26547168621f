"""`python -m binder_registry` runs the service."""

from binder_registry.main import main

main()
