"""`python -m binder_deploy` runs the service."""

from binder_deploy.main import main

main()
