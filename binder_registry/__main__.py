"""`python -m binder_registry` runs the service."""

from binder_protocol.service.lean import without_terminal_libraries

if __name__ == "__main__":
    without_terminal_libraries()
    from binder_registry.main import main

    main()
