"""Pages in the place of an application that doesn't answer."""

from __future__ import annotations

import pytest

from binder_deploy.pages import page_for
from binder_protocol.models import ApplicationStatus, Failure
from tests.support.launches import a_record


def _failed(kind: str) -> dict[str, object]:
    return {"failure": Failure(type=kind, message="<b>why</b>", log=["secret line"])}


@pytest.mark.parametrize(
    ("status", "values", "expected"),
    [
        (ApplicationStatus.PENDING, {}, (503, "starting", True)),
        (ApplicationStatus.DEPLOYING, {}, (503, "starting", True)),
        (ApplicationStatus.DEPLOYED, {}, (503, "silent", True)),
        (ApplicationStatus.FAILED, _failed("crashed"), (502, "failed", False)),
        (ApplicationStatus.FAILED, _failed("not-listening"), (504, "failed", False)),
        (ApplicationStatus.DELETED, {"reason": "<i>idle"}, (410, "gone", False)),
        (None, {}, (404, "unknown", False)),
    ],
)
def test_a_page_tells_the_truth_and_loads_itself_again_only_where_that_helps(
    status: ApplicationStatus | None, values: dict[str, object], expected: tuple[int, str, bool]
) -> None:
    page = page_for(None if status is None else a_record(status, **values))
    assert (page.status, page.kind, page.reload) == expected
    assert ("http-equiv" in page.html) == ("Retry-After" in page.headers) == page.reload


def test_what_others_wrote_is_escaped_and_the_log_stays_inside() -> None:
    for page in (
        page_for(a_record(ApplicationStatus.FAILED, **_failed("crashed"))),
        page_for(a_record(ApplicationStatus.DELETED, reason="<i>idle")),
    ):
        assert "<b>" not in page.html
        assert "<i>" not in page.html
        assert "secret line" not in page.html
        assert "script" not in page.html
