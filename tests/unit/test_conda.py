"""environment.yml, lock files and pixi's manifest: what they lead to, and what is refused. Golden files in plans/."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from binder_plan.conda.channels import channel_urls
from binder_plan.conda.locks import parse_conda_lock, parse_explicit, parse_pixi_lock
from binder_plan.conda.rattler import PREFIX
from binder_plan.conda.spec import check_spec, package_name, parse_environment
from binder_plan.plan import make_recipe
from binder_plan.recipe import PlanSettings, Recipe
from binder_protocol.errors import InvalidRepository
from tests.unit.test_plan import BASE, GOLDEN, write

URL = "https://conda.anaconda.org/conda-forge"
ENVIRONMENT = "name: x\nchannels: [conda-forge, defaults]\ndependencies:\n  - python=3.11\n  - numpy>=2\n"
SETTINGS = PlanSettings(cache_scope="scope")
SHA, MD5 = "a" * 64, "b" * 32
PIXI = '[workspace]\nchannels = ["conda-forge"]\n[dependencies]\npython = "3.12.*"\n[pypi-dependencies]\nsix = "*"\n'
PIXI_LOCK = f"""\
version: 6
environments:
  default:
    packages:
      linux-64:
      - conda: {URL}/linux-64/python-3.12.1-h1_0.conda
      - pypi: https://files.example.org/six-1.17.0-py3-none-any.whl
      - pypi: ./lib
packages:
- conda: {URL}/linux-64/python-3.12.1-h1_0.conda
  sha256: {SHA}
- pypi: https://files.example.org/six-1.17.0-py3-none-any.whl
  name: six
  version: 1.17.0
  sha256: {SHA}
"""
CONDA_LOCK = f"""\
version: 1
package:
- {{name: r-base, version: 4.4.1, manager: conda, platform: linux-64, category: main,
   url: {URL}/linux-64/r-base-4.4.1-h1_0.conda, hash: {{md5: {MD5}}}}}
- {{name: r-base, version: 4.4.1, manager: conda, platform: osx-64, category: main,
   url: {URL}/osx-64/r-base-4.4.1-h1_0.conda, hash: {{md5: {MD5}}}}}
- {{name: docs, version: '1', manager: conda, platform: linux-64, category: docs,
   url: {URL}/noarch/docs-1-h1_0.conda, hash: {{md5: {MD5}}}}}
"""


def recipe(root: Path, files: dict[str, str], **settings: object) -> Recipe:
    return make_recipe(write(root, files), BASE, PlanSettings(cache_scope="scope", **settings))  # type: ignore[arg-type]


def request(found: Recipe) -> dict[str, object]:
    """What the step is told, as it stands in the Dockerfile."""
    match = re.search(r"^COPY .*/request\.json\n(.*)\nEND", found.dockerfile, re.M)
    assert match
    return dict(json.loads(match[1]))


CASES: dict[str, tuple[dict[str, str], dict[str, object]]] = {
    "conda": ({"environment.yml": ENVIRONMENT, "apt.txt": "tree\n", "postBuild": "#!/bin/sh\n"}, {"sources": False}),
    "conda-pip": (
        {"binder/environment.yml": f"{ENVIRONMENT}  - pip:\n    - six\n    - -r more.txt\n", "binder/more.txt": "x\n"},
        {"ca": True, "as_of": "2025-01-01", "mirrors": {"conda": "https://mirror.example.org/conda"}},
    ),
    "conda-lock": ({"conda-lock.yml": CONDA_LOCK, "environment.yml": ENVIRONMENT}, {}),
    "pixi": ({"pixi.toml": PIXI}, {}),
    "pixi-lock": ({"pixi.toml": PIXI, "pixi.lock": PIXI_LOCK}, {"sources": False}),
}


@pytest.mark.parametrize("case", CASES)
def test_the_dockerfile_is_the_expected_one(case: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    files, settings = CASES[case]
    text = recipe(tmp_path, files, **settings).dockerfile
    program = (Path(__file__).parents[2] / "binder_plan/conda/installers/conda.py").read_text()
    assert program in text
    text = text.replace(program, "(the program)\n")
    expected = GOLDEN / f"{case}.Dockerfile"
    if request.config.getoption("--update-snapshots"):
        expected.write_text(text)
    assert text == expected.read_text()


# --- precedence -----------------------------------------------------------------------------------------------------


def test_the_order_of_precedence(tmp_path: Path) -> None:
    def buildpack(*names: str) -> tuple[str, str]:
        texts = {"pixi.toml": PIXI, "conda-lock.yml": CONDA_LOCK, "Dockerfile": "FROM binder-base\n"}
        texts |= {"environment.yml": ENVIRONMENT, "explicit.txt": f"@EXPLICIT\n{URL}/noarch/x-1-0.conda\n"}
        place = tmp_path / "-".join(names)
        place.mkdir()
        found = recipe(place, {name: texts.get(name, "six\n") for name in names})
        return found.buildpack, found.files[0]

    assert buildpack("environment.yml", "Dockerfile")[0] == "dockerfile"
    assert buildpack("environment.yml", "requirements.txt", "Pipfile", "pixi.toml") == ("conda", "environment.yml")
    assert buildpack("environment.yml", "conda-lock.yml", "explicit.txt") == ("conda", "conda-lock.yml")
    assert buildpack("environment.yml", "explicit.txt") == ("conda", "explicit.txt")
    assert buildpack("pixi.toml", "requirements.txt") == ("python", "requirements.txt")
    assert buildpack("pixi.toml", "Pipfile") == ("pixi", "pixi.toml")
    assert buildpack("requirements.txt") == ("python", "requirements.txt")


def test_what_has_no_effect_beside_it_is_said(tmp_path: Path) -> None:
    found = recipe(
        tmp_path, {"environment.yml": ENVIRONMENT, "requirements.txt": "six\n", "runtime.txt": "python-3.9\n"}
    )
    assert {each.path: each.reason for each in found.ignored} == {
        "requirements.txt": "the conda buildpack decides",
        "runtime.txt": "the conda buildpack decides",
    }
    named = f"{ENVIRONMENT}  - pip:\n    - -r requirements.txt\n"
    assert recipe(tmp_path, {"environment.yml": named}).files == ("environment.yml", "requirements.txt")


def test_an_environment_is_the_same_whatever_its_name_and_comments(tmp_path: Path) -> None:
    first = recipe(tmp_path, {"environment.yml": ENVIRONMENT}).environment
    other = ENVIRONMENT.replace("name: x", "name: y  # mine")
    assert recipe(tmp_path, {"environment.yml": other}).environment == first
    assert recipe(tmp_path, {"environment.yml": ENVIRONMENT.replace(">=2", ">=1")}).environment != first


# --- environment.yml ------------------------------------------------------------------------------------------------


def test_a_python_gets_a_jupyterlab_unless_it_is_named(tmp_path: Path) -> None:
    found = request(recipe(tmp_path, {"environment.yml": ENVIRONMENT}))
    assert (found["specs"], found["python"]) == (["python=3.11", "numpy>=2"], True)
    assert found["with_python"] == ["jupyterlab", "ipykernel", "pip"]
    found = request(recipe(tmp_path, {"environment.yml": "dependencies: [python, jupyterlab=3, pip]\n"}))
    assert (found["specs"], found["with_python"]) == (["python", "jupyterlab=3", "pip"], ["ipykernel"])
    found = request(recipe(tmp_path, {"environment.yml": "dependencies: [r-base]\n"}))
    assert (found["specs"], found["python"], found["channels"]) == (["r-base"], False, [URL])
    found = request(recipe(tmp_path, {"environment.yml": "dependencies: [pip: [six]]\n"}))
    assert (found["specs"], found["python"]) == (["python"], True)


@pytest.mark.parametrize("text", ["", "name: x\n", "dependencies:\n", "# nothing\n", "dependencies: []\n"])
def test_an_environment_of_nothing_is_the_base(tmp_path: Path, text: str) -> None:
    found = recipe(tmp_path, {"environment.yml": text})
    assert (found.buildpack, found.environment) == ("conda", None)
    assert "names no package" in found.warnings[0]


def test_channels_in_their_order(tmp_path: Path) -> None:
    text = (
        "channels: [bioconda/label/main, https://conda.example.org/x/, nodefaults, defaults]\ndependencies: [a, b::c]\n"
    )
    assert parse_environment(text, "environment.yml", SETTINGS).channels == (
        "https://conda.anaconda.org/bioconda/label/main",
        "https://conda.example.org/x",
        "https://repo.anaconda.com/pkgs/main",
        "https://repo.anaconda.com/pkgs/r",
        "https://conda.anaconda.org/b",
    )


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("channels: ['https://user:geheim@conda.example.org/x']", "line 1: the address holds a password"),
        ("channels: ['https://conda.anaconda.org/t/geheim/x']", "line 1: the address holds a password"),
        ("channels: ['https://conda.example.org/x?token=geheim']", "line 1: the address holds a password"),
        ("channels: ['http://10.0.0.1/x']", "10.0.0.1 is not on the public internet"),
        ("channels: ['http://[::1]/x']", "is not on the public internet"),
        ("channels: ['http://localhost:8080/x']", "localhost is not on the public internet"),
        ("channels: ['file:///etc']", "line 1: this is no address"),
        ("channels: ['../x']", "line 1: this is no address"),
        ("channels: ['https://conda.example.org/x/../../y']", "line 1: this is no address"),
        ("channels: conda-forge", "channels must be a list"),
        ("dependencies: [['a']]", "dependencies are specs"),
        ("dependencies:\n- a\n- 'b; id'", "line 3: this is no spec"),
        ("dependencies: ['a[channel=http://10.0.0.1/x]']", "line 1: this is no spec"),
        ("dependencies: ['a[url=http://10.0.0.1/x.conda]']", "line 1: this is no spec"),
        ("dependencies: ['http://10.0.0.1/noarch/x-1-0.conda']", "line 1: this is no spec"),
        ("dependencies: ['http://10.0.0.1/x::a']", "line 1: this is no spec"),
        ("dependencies: [pip: ['git+https://user:geheim@example.org/x']]", "line 1: the address holds a credential"),
        ("dependencies: [npm: [x]]", "dependencies are specs"),
        ("variables: {'A B': x}", "variables must be names and values"),
        ("- a", "this is no environment"),
    ],
)
def test_what_environment_yml_may_not_hold(line: str, says: str) -> None:
    with pytest.raises(InvalidRepository) as caught:
        parse_environment(line, "environment.yml", SETTINGS)
    assert says in caught.value.message
    assert caught.value.message.startswith("environment.yml")
    assert "geheim" not in f"{caught.value.message}{caught.value.suggestions}"


@pytest.mark.parametrize(
    ("spec", "name"),
    [
        ("numpy", "numpy"),
        ("numpy=1.11.*", "numpy"),
        ("numpy >=1.8,<2|>2.1", "numpy"),
        ("conda-forge::R-base=4.4=h1_0", "r-base"),
        ("x[version='>=1,<2', build=\"py*\"]", "x"),
    ],
)
def test_specs(spec: str, name: str) -> None:
    assert package_name(check_spec(spec, "here")) == name


@given(st.text(max_size=300))
def test_any_text_is_an_environment_or_is_refused(text: str) -> None:
    try:
        found = parse_environment(text, "environment.yml", SETTINGS)
    except InvalidRepository:
        return
    assert all(check_spec(each, "") == each for each in found.specs)


_SAFE = st.from_regex(r"[a-z][a-z0-9_-]{0,20}(=[0-9][0-9.]{0,8})?", fullmatch=True)


@given(st.lists(_SAFE, max_size=20, unique=True), st.lists(_SAFE, max_size=5))
def test_what_an_environment_names_is_what_is_found(specs: list[str], pip: list[str]) -> None:
    text = "dependencies:\n" + "".join(f"- '{each}'\n" for each in specs) + f"- pip: {json.dumps(pip)}\n"
    found = parse_environment(text, "environment.yml", SETTINGS)
    assert (list(found.specs), list(found.pip)) == (specs, pip)


@given(st.text(max_size=100))
def test_no_channel_leads_to_a_private_place(name: str) -> None:
    try:
        found = channel_urls(name, "here", SETTINGS)
    except InvalidRepository:
        return
    assert all(re.fullmatch(r"https?://[^/@\s]+/[^\s?@]*", each + "/") for each in found)


def test_a_text_of_the_repository_never_ends_the_file_it_is_in(tmp_path: Path) -> None:
    text = 'dependencies: [r-base]\nvariables: {A: "x\\nEND\\nRUN id\\n"}\n'
    found = recipe(tmp_path, {"environment.yml": text})
    assert request(found)["variables"] == {"A": "x\nEND\nRUN id\n"} or "\nRUN id" not in found.dockerfile
    assert "\nRUN id" not in found.dockerfile


def test_the_classic_builder_makes_no_conda_environment(tmp_path: Path) -> None:
    with pytest.raises(InvalidRepository, match="classic builder") as caught:
        recipe(tmp_path, {"environment.yml": ENVIRONMENT}, buildkit=False)
    assert "docker-buildx" in caught.value.suggestions[0]


def test_a_call_of_conda_is_warned_of(tmp_path: Path) -> None:
    files = {"environment.yml": ENVIRONMENT, "postBuild": "#!/bin/bash\n# conda is not called here\nmamba install x\n"}
    assert any("postBuild calls mamba" in each for each in recipe(tmp_path, files).warnings)
    files["postBuild"] = "#!/bin/bash\n# conda is not called here\n"
    assert recipe(tmp_path, files).warnings == ()


# --- locks ----------------------------------------------------------------------------------------------------------


def test_conda_lock_is_read_for_this_platform_and_the_main_packages() -> None:
    found = parse_conda_lock(CONDA_LOCK, "conda-lock.yml", SETTINGS)
    assert found.packages == ({"url": f"{URL}/linux-64/r-base-4.4.1-h1_0.conda", "md5": MD5},)
    assert (found.channels, found.versions) == ((URL,), {"r-base": "4.4.1"})


def test_pixi_lock_is_read_for_the_environment_default(tmp_path: Path) -> None:
    found = parse_pixi_lock(PIXI_LOCK, "pixi.lock", SETTINGS)
    assert found.packages == ({"url": f"{URL}/linux-64/python-3.12.1-h1_0.conda", "sha256": SHA},)
    assert (found.pip, found.local) == ((f"six==1.17.0 --hash=sha256:{SHA}",), ("./lib",))
    (warning,) = recipe(tmp_path, {"pixi.toml": PIXI, "pixi.lock": PIXI_LOCK}).warnings
    assert "no ipykernel" in warning


@pytest.mark.parametrize(
    "line",
    [
        "http://10.0.0.1/x/noarch/a-1-0.conda",
        "https://u:geheim@example.org/x/noarch/a-1-0.conda",
        f"{URL}/osx-64/a-1-0.conda",
        f"{URL}/noarch/a-1-0.conda#zz",
        f"{URL}/noarch/../noarch/a-1-0.conda",
        "numpy=1",
        "file:///etc/noarch/a-1-0.conda",
    ],
)
def test_what_no_lock_may_name(line: str) -> None:
    with pytest.raises(InvalidRepository, match=r"^explicit\.txt, line 2: ") as caught:
        parse_explicit(f"@EXPLICIT\n{line}\n", "explicit.txt", SETTINGS)
    assert "geheim" not in caught.value.message


@pytest.mark.parametrize("text", ["", "version: 2\npackage: []\n", "[]", "version: 1\n", "version: 1\npackage: [x]\n"])
def test_what_is_no_lock(text: str) -> None:
    with pytest.raises(InvalidRepository, match=r"^conda-lock\.yml"):
        parse_conda_lock(text, "conda-lock.yml", SETTINGS)
    with pytest.raises(InvalidRepository, match=r"^pixi\.lock"):
        parse_pixi_lock(text, "pixi.lock", SETTINGS)


@pytest.mark.parametrize("place", ["../lib", "/etc", "./a/../../b", "./a b", "./$(id)"])
def test_a_local_package_is_in_the_repository(place: str) -> None:
    with pytest.raises(InvalidRepository, match="not in the repository"):
        parse_pixi_lock(PIXI_LOCK.replace("./lib", place), "pixi.lock", SETTINGS)


# --- pixi.toml ------------------------------------------------------------------------------------------------------


def test_the_manifest_of_pixi(tmp_path: Path) -> None:
    more = (
        '[dependencies]\na = "*"\nb = { version = ">=1", channel = "bioconda", build = "py*" }\n'
        '[target.linux-64.dependencies]\nc = "1.*"\n[target.osx-64.dependencies]\nd = "*"\n'
        '[pypi-dependencies]\ne = { version = ">=2", extras = ["x", "y"] }\n'
        'f = { git = "https://example.org/f", rev = "abc" }\n[tasks]\nt = "id"\n'
    )
    found = recipe(tmp_path, {"pixi.toml": f'[workspace]\nchannels = ["conda-forge"]\n{more}'})
    asked = request(found)
    assert asked["specs"] == ["a *", 'bioconda::b >=1[build="py*"]', "c 1.*", "python"]
    assert asked["channels"] == [URL, "https://conda.anaconda.org/bioconda"]
    assert asked["pip"] == ["e[x,y]>=2", "f @ git+https://example.org/f@abc"]
    assert "tasks" in found.warnings[0]


@pytest.mark.parametrize(
    "text",
    [
        "dependencies = 1",
        "[dependencies]\na = 1",
        '[dependencies]\na = { path = "x" }',
        '[dependencies]\n"a;id" = "*"',
        '[workspace]\nchannels = ["http://10.0.0.1/x"]',
        "[workspace]\nchannels = [1]",
        '[pypi-dependencies]\na = { git = "https://u:geheim@example.org/x" }',
        "[pypi-dependencies]\na = [1]",
        '[activation.env]\n"A B" = "x"',
        "not toml",
    ],
)
def test_what_a_manifest_may_not_hold(tmp_path: Path, text: str) -> None:
    with pytest.raises(InvalidRepository, match=r"^pixi\.toml") as caught:
        recipe(tmp_path, {"pixi.toml": text})
    assert "geheim" not in caught.value.message


def test_the_environment_is_where_such_repositories_look_for_it(tmp_path: Path) -> None:
    text = recipe(tmp_path, {"environment.yml": ENVIRONMENT}).dockerfile
    for name in ("CONDA_PREFIX", "NB_PYTHON_PREFIX", "KERNEL_PYTHON_PREFIX"):
        assert f'ENV {name}="{PREFIX}"' in text
