"""From a repository's files to how they become an image: pure, without an engine or a network.

`make_recipe` in `binder_plan.plan` is the whole of it; the build service runs what it answers, the client shows it.
"""
