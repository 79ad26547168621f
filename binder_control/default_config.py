"""The binder.toml that set-up writes: every line of it is a comment, so that defaults stay defaults."""

from __future__ import annotations

DEFAULT_CONFIG = """\
# Binder's configuration. Every setting stands here with its default, commented out.
# `binder-control config` shows what is in effect and where it comes from; `binder-control config check` finds mistakes.
# Variables beat this file: BINDER_LOG_LEVEL for all services, BINDER_BUILD_PORT for one.
# What stands below a table's name is for that service alone; what stands above them is for all.

# log-level = "info"                        # debug, info, warning, error
# public-url = "http://127.0.0.1:8080"      # the front door as people type it; on loopback: as they came in
# host = "127.0.0.1"                        # where the services listen; the front door has its own, below
# database-url = "sqlite:///…"              # one database for all services, for example postgresql+psycopg://…

[control]
# host = "0.0.0.0"                          # where the front door listens
# port = 8080
# engine = "auto"                           # "never": binder-control starts no Docker engine of its own
# start-seconds = 60                        # how long a service may take until it is ready
# log-bytes = 10485760                      # a log file is rotated at this size,
# log-files = 5                             # and so many old ones are kept

[build]
# port = 8082

[registry]
# port = 8083

[deploy]
# port = 8084
# backend = "docker"                        # "kubernetes": pods of a cluster; below [deploy.kubernetes]

[deploy.kubernetes]
# kubeconfig = "…"                          # without one: $KUBECONFIG
# namespace = "binder-applications"         # where applications are; docs/kubernetes.md has all settings

[health]
# port = 8086
# interval = 300                            # seconds between two rounds of checks
# build-interval = 3600                     # seconds between two builds that make their image anew
# retention-days = 14                       # how long results are kept
"""
