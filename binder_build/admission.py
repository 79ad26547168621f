"""What a request for a build is about, and which active attempt it joins: pure decisions."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable

from binder_build.records import Attempt, Subject
from binder_build.sources.repository import Repository
from binder_build.sources.source import Revision
from binder_protocol.errors import AlreadyBuilding
from binder_protocol.models import BuildRequest


def subject_of(request: BuildRequest, repository: Repository) -> Subject:
    """What the request is about. Builds of one person, as far as an address tells, take turns with all others'."""
    settings = json.dumps([request.credential, request.options.wire()], sort_keys=True)
    return Subject(
        name=repository.name,
        display_name=repository.display_name,
        repository=repository.url,
        owner=f"{repository.host}/{repository.path.partition('/')[0]}".lower(),
        settings=hashlib.sha256(settings.encode()).hexdigest(),
        request=request,
    )


def to_join(present: Iterable[Attempt], subject: Subject, revision: Revision | None) -> Attempt | None:
    """The attempt that this request may join: one of the same commit and settings.

    One that still has to learn its commit will learn the present one. A request that doesn't know its commit yet
    joins no other: the ref may have moved. Raises AlreadyBuilding where `force` meets the same commit without.
    """
    for attempt in present:
        if attempt.subject.settings != subject.settings:
            continue
        if attempt.revision is None or attempt.revision == revision:
            if subject.request.force and not attempt.subject.request.force:
                raise AlreadyBuilding(details={"name": attempt.name, "attempt": attempt.number})
            return attempt
    return None
