"""Dockerfiles of 2016 stand on images that are long gone: binder-base takes their place, dressed as they were. Pure.

They expect a user `main`, at home in /home/main, the repository in `notebooks` there before their first line, and
Anaconda's environments. All of these lead to what binder-base has.
"""

from __future__ import annotations

import re

from binder_plan.dockerfiles.instructions import instructions
from binder_plan.recipe import ENVIRONMENT, NB_UID, NB_USER, REPO_DIR, Base

NAMES = ("binder-base", *(f"binder-python-{version}{kind}" for version in ("2.7", "3.5") for kind in ("", "-mini")))
"""The bases that a Dockerfile could stand on in 2016, all of `andrewosh`."""

_IMAGE = re.compile(rf"(?:(?:index\.)?docker\.io/)?andrewosh/({'|'.join(map(re.escape, NAMES))})(?::[\w.-]+)?")
_NOTEBOOKS = f"{REPO_DIR}/notebooks"
_DRESS = (
    f"groupadd --non-unique --gid {NB_UID} main"
    f" && useradd --non-unique --uid {NB_UID} --gid {NB_UID} --home-dir /home/main --no-create-home"
    " --shell /bin/bash main"
    f" && ln -s {NB_USER} /home/main && install -d -o {NB_UID} -g {NB_UID} {_NOTEBOOKS} {ENVIRONMENT}/envs"
    f" && ln -s .. {ENVIRONMENT}/envs/python3"
    f" && ln -s {ENVIRONMENT} /home/main/anaconda && ln -s {ENVIRONMENT} /home/main/anaconda2"
)
# ADD and COPY make files root's, and a notebook that can't be saved is of little use.
_OWN = f"find {_NOTEBOOKS} -xdev ! -uid {NB_UID} -exec chown -h {NB_UID}:{NB_UID} '{{}}' +"


def mapped(text: str, path: str, base: Base) -> tuple[str, tuple[str, ...]]:
    """The text with binder-base in the place of each base of 2016, and what is to be said about it."""
    lines = text.split("\n")
    notes = []
    last = False
    for instruction in instructions(text):
        if instruction.name != "FROM" or not instruction.words:
            continue
        match = _IMAGE.fullmatch(instruction.words[0])
        last = match is not None
        if match is None:
            continue
        name = " ".join(("", *instruction.words[1:]))
        dressed = "\n".join(_dressed(f"FROM {base.reference}{name}"))
        # One entry for each line that was there, for the places of those behind them.
        lines[instruction.first - 1 : instruction.last] = [dressed, *[""] * (instruction.last - instruction.first)]
        notes.append(
            f"{path}, line {instruction.first}: andrewosh/{match[1]} is a base of 2016; binder-base takes its place, "
            f"with one Python, {base.python}; user main, /home/main/notebooks and Anaconda's paths lead there"
        )
    if last:
        lines += ["USER root", f"RUN {_OWN}", f"USER {NB_USER}", f"WORKDIR {_NOTEBOOKS}"]
    return "\n".join(lines), tuple(notes)


def _dressed(first: str) -> tuple[str, ...]:
    return (
        first,
        "USER root",
        f"RUN {_DRESS}",
        "USER main",
        f"ENV REPO_DIR={_NOTEBOOKS}",
        f"WORKDIR {_NOTEBOOKS}",
        f"COPY --chown={NB_UID}:{NB_UID} . {_NOTEBOOKS}/",
    )
