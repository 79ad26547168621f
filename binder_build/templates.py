"""Templates of finished builds, kept by the registry: its client's errors as ours."""

from __future__ import annotations

from pydantic import ValidationError

from binder_build.images.store import BuiltImage
from binder_build.records import Subject
from binder_build.sources.source import Revision
from binder_client.client import Client
from binder_plan.recipe import Recipe
from binder_protocol.errors import (
    BinderError,
    ClientError,
    DoesNotExist,
    InvalidRepository,
    RegistrationFailed,
    Unavailable,
)
from binder_protocol.labels import APP, JUPYTER
from binder_protocol.models import Limits, Template, TemplateSpec
from binder_protocol.models.registry import PLACEHOLDERS

_OPERATORS = ("environment", "cull_timeout", "max_age", "access", "placement")
"""What an operator may have set on a template, and a new image must not undo.

Variables that a repository asks for are in its image, where those of the template cover them.
"""


_JUPYTER_COMMAND = ("jupyter-lab",)


def spec_of(subject: Subject, revision: Revision, recipe: Recipe, image: BuiltImage, name: str) -> TemplateSpec:
    """The template of a built image, which it calls `name`. Raises InvalidRepository for one that can't be launched.

    The image's own command and variables stay its own, but for a command with placeholders, which only a template's
    can have. Of the images on our base those that run its JupyterLab check the token themselves; what a repository's
    own `start` puts in its place doesn't.
    """
    command = recipe.launch.command or ()
    filled_in = any(f"{{{placeholder}}}" in word for word in command for placeholder in PLACEHOLDERS)
    try:
        return TemplateSpec(
            name=subject.name,
            image=name,
            command=list(command) if filled_in else None,
            port=recipe.launch.port or image.port,
            health_path=recipe.launch.health_path or "/",
            limits=Limits(memory=recipe.launch.memory, cpu=recipe.launch.cpu),
            strip_prefix=recipe.launch.strip_prefix,
            login=image.labels.get(APP) == JUPYTER and (image.command or ())[-1:] == _JUPYTER_COMMAND,
            labels={"commit": revision.commit[:63], "buildpack": recipe.buildpack},
            display_name=subject.display_name[:500],
        )
    except ValidationError as error:
        reason = error.errors(include_url=False, include_input=False)[0]["msg"]
        raise InvalidRepository(f"the image can't be launched: {reason}") from None


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

    def register(self, spec: TemplateSpec, built: TemplateSpec | None = None) -> Template:
        """Makes `spec` the newest revision; what an operator set on the one before stays. Raises RegistrationFailed.

        `built` is what the build before this one registered: what differs from it is an operator's.
        """
        try:
            return self._client.registry.register(self._with_operators_part(spec, built))
        except BinderError as error:
            raise RegistrationFailed(
                f"the image is built, but its template could not be registered: {error.message}",
                details={"type": error.type},
            ) from error

    def ping(self) -> None:
        """Raises a BinderError where the registry doesn't answer."""
        self._client.registry.fetch_all(limit=1)

    def _with_operators_part(self, spec: TemplateSpec, built: TemplateSpec | None) -> TemplateSpec:
        try:
            before = self._client.registry.fetch(spec.name)
        except DoesNotExist:
            return spec
        kept = {name: getattr(before, name) for name in _OPERATORS}
        limits = merged(spec.limits, before.limits, None if built is None else built.limits)
        return spec.model_copy(update={**kept, "limits": limits})


def merged(wish: Limits, current: Limits, built: Limits | None) -> Limits:
    """The repository's newest wish, but for each limit that an operator changed since the last build."""
    earlier = built or Limits()
    fields = {
        name: (getattr(wish, name), getattr(current, name), getattr(earlier, name)) for name in Limits.model_fields
    }
    return Limits(**{name: new if now == old else now for name, (new, now, old) in fields.items()})
