"""`python -m binder_deploy` runs the service."""

from binder_protocol.service.lean import leave_out_unused

if __name__ == "__main__":
    leave_out_unused()
    from binder_deploy.main import main

    main()
