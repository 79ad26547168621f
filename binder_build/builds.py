"""What one can do with builds. Knows the rules, neither HTTP nor SQL."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterable, Sequence

from binder_build.admission import subject_of, to_join
from binder_build.documents import Document, Documents
from binder_build.images.store import ImageStore
from binder_build.metrics import BuildMetrics
from binder_build.queue import Waiting, position
from binder_build.recipes import Recipes
from binder_build.records import Attempt, Subject
from binder_build.runner import Runner
from binder_build.secrets.store import CredentialStore
from binder_build.sources.repository import parse_repository
from binder_build.sources.resolver import Resolver
from binder_build.store import AttemptStore
from binder_build.templates import Templates
from binder_build.workers import Workers
from binder_protocol.errors import NoBuildInfo
from binder_protocol.models import Build, BuildRequest, BuildStatus, Lock, Sbom

CANCEL_SECONDS = 5.0
"""How long a request to cancel waits for the end."""
_LOOK_SECONDS = 0.1


class Builds:
    """The build service's use cases, besides the building itself."""

    def __init__(
        self,
        *,
        store: AttemptStore,
        documents: Documents,
        resolver: Resolver,
        credentials: CredentialStore,
        recipes: Recipes,
        images: ImageStore,
        templates: Templates,
        workers: Workers,
        runner: Runner,
        metrics: BuildMetrics,
        queue_size: int,
        answer_seconds: float,
    ) -> None:
        self._store = store
        self._documents = documents
        self._resolver = resolver
        self._credentials = credentials
        self._recipes = recipes
        self._images = images
        self._templates = templates
        self._workers = workers
        self._runner = runner
        self._metrics = metrics
        self._queue_size = queue_size
        self._answer_seconds = answer_seconds

    def start(self, request: BuildRequest) -> Build:
        """The finished build of this very commit, else the one under way, else a new one that waits for its turn.

        What is wrong with the repository is raised where its server says so in time; else the build fails by it.
        Raises AlreadyBuilding where `force` wants a commit afresh that is being built without.
        """
        began = time.time()
        repository = parse_repository(request.repository, request.ref, request.subdir)
        subject = subject_of(request, repository)
        self._credentials.secret(request.credential, repository)
        self._credentials.for_build(request.options.secrets, repository)
        revision = self._resolver.resolve(repository, request.credential, within=self._answer_seconds)
        recipe = None if revision is None else self._recipes.key(subject, revision)
        if recipe is not None and not request.force:
            finished = self._finished(subject, recipe)
            if finished is not None:
                self._metrics.cached()
                return finished.build(cached=True)
        attempt, new = self._store.admit(
            subject,
            revision,
            recipe,
            queue_size=self._queue_size,
            since=began,
            join=lambda present: to_join(present, subject, revision),
        )
        if new:
            self._workers.wake()
        else:
            self._metrics.joined()
        return attempt.build(cached=True) if attempt.status.ended else self._shown([attempt])[0]

    def status(self, name: str) -> Build:
        """The newest attempt. Raises NoBuildInfo."""
        return self._shown([self.attempt(name)])[0]

    def attempt(self, name: str, number: int | None = None) -> Attempt:
        """That attempt, or the newest. Raises NoBuildInfo."""
        found = self._store.find(name, number)
        if found is None:
            which = "build" if number is None else f"attempt {number} at a build"
            raise NoBuildInfo(f"there is no {which} of the name {name[:100]!r}")
        return found

    def lock(self, name: str, number: int | None) -> Lock:
        """What that attempt, or the newest, installed. Raises NoBuildInfo, also where nothing is known of it."""
        attempt, text = self._document(name, number, Document.LOCK, "the image of this build holds no lock")
        commit = None if attempt.revision is None else attempt.revision.commit
        return Lock(name=name, attempt=attempt.number, commit=commit, packages=text.splitlines())

    def sbom(self, name: str, number: int | None) -> Sbom:
        """The bill of materials of that attempt, or the newest. Raises NoBuildInfo, also where none was asked for."""
        attempt, text = self._document(name, number, Document.SBOM, "this build was not asked for a bill of materials")
        commit = None if attempt.revision is None else attempt.revision.commit
        return Sbom(name=name, attempt=attempt.number, commit=commit, document=json.loads(text))

    def _document(self, name: str, number: int | None, kind: Document, absent: str) -> tuple[Attempt, str]:
        attempt = self.attempt(name, number)
        text = self._documents.find(attempt, kind)
        if text is not None:
            return attempt, text
        raise NoBuildInfo(absent if attempt.status is BuildStatus.COMPLETED else f"the build is {attempt.status}")

    def newest(self, status: BuildStatus | None, words: str, limit: int, offset: int) -> tuple[list[Build], int]:
        """A page of the newest attempts of all names, newest first, and how many there are."""
        found, total = self._store.newest(status, words, limit, offset)
        return self._shown(found), total

    def history(self, name: str, limit: int, offset: int) -> tuple[list[Build], int]:
        """A page of all attempts, newest first, and how many there are. Raises NoBuildInfo."""
        found, total = self._store.history(name, limit, offset)
        if not total:
            self.attempt(name)
        return self._shown(found), total

    def cancel(self, name: str) -> Build:
        """Ends all attempts at `name` that wait or run; one that ended stays as it is. Raises NoBuildInfo.

        Returns once nothing of them is left, or after CANCEL_SECONDS, when the status still says `running`.
        """
        self.attempt(name)
        deadline = time.monotonic() + CANCEL_SECONDS
        ends: list[threading.Event] = []
        for attempt in self._store.ask_cancel(name):
            if attempt.status is BuildStatus.QUEUED:
                self._runner.cancelled_in_queue(attempt)
            else:
                ends.append(self._workers.cancel(attempt))
        _all_set(ends, deadline)
        while not (build := self.status(name)).status.ended and time.monotonic() < deadline:
            threading.Event().wait(_LOOK_SECONDS)  # another service runs it, and looks for orders now and then
        return build

    def _finished(self, subject: Subject, recipe: str) -> Attempt | None:
        """The attempt whose image is still there and is what the template launches."""
        found = self._store.with_image(subject.name, recipe)
        if found is None or found.status is not BuildStatus.COMPLETED or found.spec is None:
            return None
        image = found.spec.image
        if not self._images.exists(image) or self._templates.image(subject.name) != image:
            return None
        return found

    def _shown(self, attempts: Sequence[Attempt]) -> list[Build]:
        waiting: list[Waiting] = []
        running: list[Waiting] = []
        if any(each.status is BuildStatus.QUEUED for each in attempts):
            waiting, running = self._store.turns()
        return [each.build(position(each.id, waiting, running)) for each in attempts]


def _all_set(events: Iterable[threading.Event], deadline: float) -> None:
    for event in events:
        event.wait(max(0.0, deadline - time.monotonic()))
