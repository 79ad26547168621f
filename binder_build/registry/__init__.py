"""Images in a registry, made by builders elsewhere: no engine is needed."""
