"""`python -m binder_build` runs the service."""

from binder_protocol.service.lean import leave_out_unused

if __name__ == "__main__":
    leave_out_unused()
    from binder_build.main import main

    main()
