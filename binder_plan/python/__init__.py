"""What the files of Python projects ask for, and the steps by which uv installs it."""
