"""Images: what is asked of the place where they are kept, and the one that is a Docker engine."""
