"""Repositories' own Dockerfiles: what is refused, and by which line; what is built in the end."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from binder_build.sources.addresses import AddressPolicy
from binder_plan.dockerfiles.effects import Effects, effects
from binder_plan.dockerfiles.instructions import instructions
from binder_plan.dockerfiles.rules import check, prepared
from binder_plan.recipe import PlanSettings
from binder_protocol.errors import InvalidRepository

SETTINGS = PlanSettings(cache_scope="scope")


def judge(text: str, settings: PlanSettings = SETTINGS) -> None:
    check(text, "Dockerfile", {"NB_USER": "jovyan", "NB_UID": "1000"}, settings)


REFUSED = [
    ("# syntax=attacker/frontend\nFROM x\n", 1),
    ("#syntax = attacker/frontend:1\nFROM x\n", 1),
    ("# SYNTAX=attacker/frontend\nFROM x\n", 1),
    ("#!/usr/bin/env x\n# syntax=attacker/frontend\nFROM x\n", 2),
    ("// syntax=attacker/frontend\nFROM x\n", 1),
    ('{"syntax": "attacker/frontend"}\n', 1),
    ("# syntax=evil.io/docker/dockerfile\nFROM x\n", 1),
    ("FROM x\nRUN --network=host id\n", 2),
    ("FROM x\nrun --NETWORK=HOST id\n", 2),
    ("FROM x\nRUN \\\n  --security=insecure \\\n  id\n", 2),
    ("FROM x\nRUN --device=nvidia.com/gpu=all id\n", 2),
    ("# escape=`\nFROM x\nRUN `\n --security=insecure id\n", 3),
    ("FROM x\nONBUILD RUN --network=host id\n", 2),
    ("FROM x\nRUN --mount=type=bind,from=binder/other-repo:abc,target=/x id\n", 2),
    ("FROM x\nRUN --mount=type=cache,id=binder-uv-other,target=/x id\n", 2),
    ("FROM x\nRUN --mount=type=cache,target=$X id\n", 2),
    ("FROM binder/other-repo:abc\n", 1),
    ("FROM docker.io/binder/other-repo\n", 1),
    ("FROM --platform=linux/amd64 binder/other-repo AS a\n", 1),
    ("ARG I=binder/other\nFROM ${I}\n", 2),
    ("ARG A=binder\nARG I=$A/other\nFROM $I:x\n", 3),
    ("ARG I\nFROM ${I:-binder/other}\n", 2),
    ("ARG I\nFROM $I\n", 2),
    ("FROM ${I:+x}\n", 1),
    ("FROM 0123456789ab\n", 1),
    ("FROM sha256:" + "0" * 64 + "\n", 1),
    ("FROM x\nCOPY --from=binder/other /a /b\n", 2),
    ("FROM localhost:5000/x\n", 1),
    ("FROM 127.0.0.1:8082/x\n", 1),
    ("FROM 169.254.169.254/x\n", 1),
    ("FROM [::1]:5000/x\n", 1),
    ("FROM x\nADD http://169.254.169.254/latest /x\n", 2),
    ("FROM x\nADD https://example.org/x.tar.gz /x\n", 2),
    ('FROM x\nADD ["http://127.0.0.1:8082/", "/x"]\n', 2),
    ("FROM x\nADD git@github.com:o/r.git /x\n", 2),
    ("FROM x\nADD $URL /x\n", 2),
    ("FROM x\nLABEL traefik.http.routers.x.rule=Host(`x`)\n", 2),
    ("FROM x\nLABEL a=b \\\n  org.binder.application=other\n", 2),
    ('FROM x\nLABEL "org.binder.name"="x"\n', 2),
    # Lines that one reading takes for a here-document and another doesn't.
    ("FROM x\nRUN echo <<EOF\nFROM binder/other\nEOF\n", 3),
]


@pytest.mark.parametrize(("text", "line"), REFUSED)
def test_what_a_dockerfile_may_not_do_is_refused_by_its_line(text: str, line: int) -> None:
    with pytest.raises(InvalidRepository, match=f"^Dockerfile, line {line}: ") as caught:
        judge(text)
    assert caught.value.suggestions


ALLOWED = [
    "FROM binder-base\n",
    "# syntax=docker/dockerfile:1\nFROM binder-base AS one\nFROM one\nCOPY --from=one /a /b\nCOPY --from=0 /a /b\n",
    "ARG TAG=3.12\nFROM python:${TAG}-slim\n",
    "FROM ghcr.io/owner/image@sha256:" + "0" * 64 + "\n",
    "FROM scratch\nADD --chmod=755 rootfs.tar.gz /\n",
    "FROM x\nADD target/${JAR} app.jar\nRUN --network=none id\nRUN --mount=type=cache,target=/root/.cache id\n",
    "FROM x\nARG NB_USER\nUSER ${NB_USER}\nVOLUME /data\nHEALTHCHECK CMD id\n",
    "FROM x\nRUN <<EOF\nfrom os import path\nadd = 1\nEOF\n",
    "FROM x\nRUN echo '--network=host' \\\n # a comment\n\n  && echo done\n",
]


@pytest.mark.parametrize("text", ["", "\n", "# FROM x\n"])
def test_a_dockerfile_without_an_instruction_is_empty(text: str) -> None:
    with pytest.raises(InvalidRepository, match=r"^Dockerfile is empty$"):
        judge(text)


@pytest.mark.parametrize("text", ALLOWED)
def test_usual_dockerfiles_are_left_alone(text: str) -> None:
    judge(text)


def test_an_allowed_registry_on_a_private_network_is_allowed() -> None:
    judge("FROM 10.0.0.1:5000/x\n", PlanSettings(registry_allowed=AddressPolicy(["10.0.0.0/8"]).allows_literal))


def test_remote_add_is_allowed_by_a_setting() -> None:
    judge("FROM x\nADD https://example.org/x /x\n", PlanSettings(allow_remote_add=True))


def test_the_last_stage_says_port_and_command() -> None:
    text = 'FROM a\nEXPOSE 1\nFROM b\nEXPOSE 5006/tcp 6000\nCMD ["panel", "serve"]\n'
    assert effects(text) == Effects("b", 5006, ("panel", "serve"), starts=True)
    assert effects("FROM a\nEXPOSE $PORT\n") == Effects("a")
    assert effects("FROM a AS one\nEXPOSE 9000-9010\nFROM one\n") == Effects("a", 9000)
    assert effects('FROM a\nCMD ["x"]\nENTRYPOINT ["y"]\n') == Effects("a", None, ("x",), starts=True)
    assert effects('FROM a\nENTRYPOINT ["y"]\n').starts


@pytest.mark.parametrize(
    "text",
    [
        "ARG PORT=8000\nFROM a\nARG PORT\nEXPOSE $PORT\n",
        "FROM a\nARG PORT=8000\nEXPOSE ${PORT}/tcp\n",
        "FROM a\nENV PORT 8000\nEXPOSE $PORT\n",
        'FROM a\nENV A="x y" PORT=8000\nEXPOSE $PORT 1\n',
        "FROM a\nENV PORT=8000\nARG PORT=1\nEXPOSE $PORT\n",
        "FROM a AS b\nENV PORT=8000\nFROM b\nEXPOSE $PORT\n",
        "FROM a\nEXPOSE ${PORT:-8000}\n",
        "FROM a\nARG GIVEN=1\nEXPOSE $GIVEN\n",
    ],
)
def test_a_port_may_be_named_by_a_variable(text: str) -> None:
    assert effects(text, {"GIVEN": "8000"}).port == 8000


def test_a_variable_of_another_stage_names_no_port() -> None:
    assert effects("ARG PORT=8000\nFROM a\nEXPOSE $PORT\n").port is None
    assert effects("FROM a\nENV PORT=8000\nFROM b\nEXPOSE $PORT\n").port is None


@given(st.text(max_size=80).map(lambda text: f"FROM a\n{text}"))
def test_whatever_a_dockerfile_holds_its_effects_are_told(text: str) -> None:
    port = effects(text).port
    assert port is None or 0 < port < 65_536


def test_a_frontend_of_docker_is_left_out_and_that_is_said() -> None:
    text, warnings = prepared("# syntax=docker/dockerfile:1.7\nFROM x\n", SETTINGS)
    assert "syntax=" not in text
    assert "docker/dockerfile:1.7" in warnings[0]
    assert prepared("# syntax=docker/dockerfile:1.7\nFROM x\n", PlanSettings(frontends=True))[0].startswith("# syntax=")


def test_run_steps_get_the_network_of_this_host_and_caches_of_their_own() -> None:
    text, _ = prepared(
        "FROM x\nrun id\nRUN --mount=type=cache,target=/root/.cache \\\n  --mount=type=cache,id=a,target=/b \\\n  id\n"
        'RUN ["id"]\nRUN <<EOF\nRUN inside\nEOF\n',
        PlanSettings(ca=True, cache_scope="scope"),
    )
    lines = text.split("\n")
    assert lines[1].startswith("run --mount=type=bind,from=binder-network,source=ca.crt,")
    assert lines[1].endswith(" id")
    assert "--mount=type=cache,target=/root/.cache,id=own-scope-/root/.cache" in lines[2]
    assert "--mount=type=cache,target=/b,id=own-scope-a" in lines[3]
    assert lines[5].endswith('["id"]')
    assert lines[7] == "RUN inside"


def test_instructions_carry_their_lines() -> None:
    found = instructions("# c\nFROM x\n\nRUN a \\\n\n# inside\n  b\nCOPY <<A <<B /x/\n1\nA\n2\nB\nUSER y\n")
    assert [(each.name, each.first, each.last) for each in found] == [
        ("FROM", 2, 2),
        ("RUN", 4, 7),
        ("COPY", 8, 12),
        ("USER", 13, 13),
    ]


@pytest.mark.parametrize(
    ("mount", "expected"),
    [
        ("type=secret,id=licence", "type=secret,target=/run/secrets/licence,id=own-scope-licence"),
        ("type=secret,source=licence,target=/a", "type=secret,target=/a,id=own-scope-licence"),
        ("type=secret,target=/run/secrets/key,required=true", None),
        ("id=licence,type=secret,env=KEY", "type=secret,env=KEY,id=own-scope-licence"),
        ("type=secret,src=binder-uv.toml+lab,dst=/a", "type=secret,dst=/a,id=own-scope-binder-uv.toml+lab"),
        ("type=secret,id=$NAME", "type=secret,target=/run/secrets/$NAME,id=own-scope-$NAME"),
    ],
)
def test_a_secret_is_that_of_the_scope(mount: str, expected: str | None) -> None:
    expected = expected or "type=secret,target=/run/secrets/key,required=true,id=own-scope-key"
    text, _ = prepared(f"FROM x\nRUN --mount={mount} true\n", PlanSettings(cache_scope="scope"))
    assert f"RUN --mount={expected} true" in text


@pytest.mark.parametrize("kind", ["secret", "cache"])
def test_a_mount_that_could_hide_is_refused(kind: str) -> None:
    with pytest.raises(InvalidRepository, match="several lines"):
        prepared(f"FROM x\nRUN --mount=type={kind},\\\nid=a true\n", PlanSettings())
    with pytest.raises(InvalidRepository, match="type of a mount"):
        check(f"FROM x\nARG T={kind}\nRUN --mount=type=$T,id=a true\n", "Dockerfile", {}, PlanSettings())
