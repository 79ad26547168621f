"""Templates of finished builds, kept by the registry: its client's errors as ours."""

from __future__ import annotations

from binder_client import Client
from binder_protocol.errors import BinderError, ClientError, DoesNotExist, RegistrationFailed, Unavailable
from binder_protocol.models import Template, TemplateSpec

_OPERATORS = ("environment", "limits", "cull_timeout", "max_age", "access")
"""What an operator may have set on a template, and a new image must not undo."""


class Templates:
    """The registry as the build service sees it."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def image(self, name: str) -> str | None:
        """The image that the template of this name launches; None without one, or where the registry doesn't say."""
        try:
            template = self._client.registry.fetch(name)
        except (DoesNotExist, ClientError, Unavailable):
            return None
        return template.image

    def register(self, spec: TemplateSpec) -> Template:
        """Makes `spec` the newest revision; what an operator set on the one before stays. Raises RegistrationFailed."""
        try:
            return self._client.registry.register(self._with_operators_part(spec))
        except BinderError as error:
            raise RegistrationFailed(
                f"the image is built, but its template could not be registered: {error.message}",
                details={"type": error.type},
            ) from error

    def ping(self) -> None:
        """Raises a BinderError where the registry doesn't answer."""
        self._client.registry.fetch_all(limit=1)

    def _with_operators_part(self, spec: TemplateSpec) -> TemplateSpec:
        try:
            before = self._client.registry.fetch(spec.name)
        except DoesNotExist:
            return spec
        return spec.model_copy(update={name: getattr(before, name) for name in _OPERATORS})
