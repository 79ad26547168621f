"""Client: the library and the command line over HTTP."""
