"""The chassis of every service: settings, app, keys, errors, logs, metrics, health, storage, work and streams."""
