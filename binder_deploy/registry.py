"""Templates as the registry gives them."""

from __future__ import annotations

from binder_client.client import Client
from binder_deploy.sharing import Shared
from binder_protocol.errors import BinderError, DoesNotExist, RegistryError
from binder_protocol.models import Template


class RegistryTemplates:
    """Asks the registry; whatever else goes wrong there is a RegistryError here."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._newest = Shared(lambda name: client.registry.fetch(name))

    def fetch(self, name: str, *, revision: int | None = None) -> Template:
        """The template, at its newest revision or the named one. Raises DoesNotExist or RegistryError."""
        try:
            return self._newest.get(name) if revision is None else self._client.registry.fetch(name, revision=revision)
        except DoesNotExist:
            raise
        except BinderError as error:
            raise RegistryError(f"the registry didn't give template {name}: {error.message}") from error
