"""A certificate that the front door never shows to anybody.

Traefik keeps one ready even where it speaks no TLS. Without one of ours it makes an RSA key whenever a route comes or
goes, which takes 60 ms of processor time: with ten launches at once a tenth of what the machine has.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

_SECONDS = 20


def ensure_certificate(file: Path) -> Path | None:
    """`file`, with a self-signed certificate and its key; None where there is no openssl to make it."""
    openssl = shutil.which("openssl")
    if file.is_file() or openssl is None:
        return file if file.is_file() else None
    draft = file.with_suffix(".new")
    words = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "36500"]
    try:
        draft.touch(mode=0o600)
        made = subprocess.run(
            [openssl, *words, "-subj", "/CN=binder", "-keyout", "-", "-out", "-"],
            capture_output=True, stdin=subprocess.DEVNULL, timeout=_SECONDS, check=True,
        )  # fmt: skip
        draft.write_bytes(made.stdout)
        draft.replace(file)
    except (OSError, subprocess.SubprocessError):
        draft.unlink(missing_ok=True)
        return None
    return file
