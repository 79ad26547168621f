"""`python -m binder_build`: runs the build service."""

from binder_build.main import main

if __name__ == "__main__":
    main()
