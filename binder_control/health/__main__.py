"""`python -m binder_control.health` runs the service."""

from binder_protocol.service.lean import leave_out_unused

if __name__ == "__main__":
    leave_out_unused()
    from binder_control.health.main import main

    main()
