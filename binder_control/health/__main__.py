"""`python -m binder_control.health` runs the service."""

from binder_control.health.main import main

main()
