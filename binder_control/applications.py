"""Stopping the applications that run, through the deploy service."""

from __future__ import annotations

from binder_control.config import Configuration
from binder_control.errors import NotRunning
from binder_protocol.errors import NoRecord, Refused


def stop_applications(configuration: Configuration) -> int:
    """Stops every application that has not ended, and returns how many. Raises NotRunning without a deploy service."""
    from binder_client import Client

    deploy = configuration.control.deploy_url
    with Client(deploy, configuration.key) as client:
        try:
            running = [each for each in client.deploy.list().all() if not each.status.ended]
        except Refused as error:
            raise NotRunning(
                "applications are stopped by the deploy service, and it doesn't run",
                "binder-control start deploy, then binder-control stop-all --applications",
            ) from error
        for application in running:
            try:
                client.deploy.stop(application.template_name, application.id)
            except NoRecord:
                continue
    return len(running)
