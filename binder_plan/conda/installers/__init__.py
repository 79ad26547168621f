"""Programs that run inside build steps: their text goes into the Dockerfile, and they import nothing of ours."""
