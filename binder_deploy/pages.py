"""What people see at an application's address where it doesn't answer itself: plain pages, escaped, without scripts."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

from binder_deploy.probe import PAGE_HEADER
from binder_deploy.records import Record
from binder_protocol.errors import NotListening
from binder_protocol.models import ApplicationStatus

_RELOAD_SECONDS = 2
_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:38rem;margin:15vh auto;padding:0 1rem}"
    "body{color:#222;background:#fff}h1{font-size:1.4rem}@media(prefers-color-scheme:dark){body{color:#ddd;background:#1b1b1b}}"
)


@dataclass(frozen=True)
class Page:
    """One page: its HTTP status, its kind (also in a header), what it says. `reload`: it loads itself again."""

    status: int
    kind: str
    title: str
    text: str
    reload: bool = False

    @property
    def headers(self) -> dict[str, str]:
        """What goes with it."""
        headers = {
            "Cache-Control": "no-store",
            "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'",
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
            PAGE_HEADER: self.kind,
        }
        return headers | ({"Retry-After": str(_RELOAD_SECONDS)} if self.reload else {})

    @property
    def html(self) -> str:
        """The document."""
        reload = f'<meta http-equiv="refresh" content="{_RELOAD_SECONDS}">' if self.reload else ""
        return (
            f'<!doctype html><html lang="en"><head><meta charset="utf-8">{reload}'
            f'<meta name="viewport" content="width=device-width"><title>{escape(self.title)}</title>'
            f"<style>{_STYLE}</style></head>"
            f'<body><main role="{"status" if self.reload else "main"}"><h1>{escape(self.title)}</h1>'
            f"<p>{escape(self.text)}</p></main></body></html>\n"
        )


UNKNOWN = Page(404, "unknown", "There is no such application", "The address may be mistyped, or very old.")
NO_ENTRY = Page(
    403,
    "no-entry",
    "This application needs its token",
    "Open it with the complete address that was given when it was launched.",
)
STARTING = Page(
    503,
    "starting",
    "The application is starting",
    "This page loads itself again until it is there.",
    reload=True,
)
SILENT = Page(
    503,
    "silent",
    "The application doesn't answer just now",
    "It runs, but nothing listens on its port. This page loads itself again.",
    reload=True,
)


def page_for(record: Record | None) -> Page:
    """The page for an application at whose address nothing else answered."""
    if record is None:
        return UNKNOWN
    match record.status:
        case ApplicationStatus.PENDING | ApplicationStatus.DEPLOYING:
            return STARTING
        case ApplicationStatus.DEPLOYED:
            return SILENT
        case ApplicationStatus.FAILED:
            return _failed(record)
        case ApplicationStatus.DELETED:
            why = record.reason or "stopped"
            return Page(
                410, "gone", "The application has ended", f"It was removed: {why}. Launch it again for a new one."
            )


def _failed(record: Record) -> Page:
    failure = record.failure
    kind = failure.type if failure is not None else "failed"
    words = failure.message if failure is not None else "it failed"
    status = 504 if kind == NotListening.type else 502
    return Page(status, "failed", "The application has failed", f"{words} ({kind})")
