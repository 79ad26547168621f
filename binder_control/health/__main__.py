"""`python -m binder_control.health` runs the service."""

from binder_protocol.service.lean import without_terminal_libraries

if __name__ == "__main__":
    without_terminal_libraries()
    from binder_control.health.main import main

    main()
