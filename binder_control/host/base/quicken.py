"""Make JupyterLab's environment start quickly; run once, while binder-base is built.

1. `rfc3987_syntax` builds two Earley parsers from a grammar when it is imported. Jupyter imports it at every start (by
   way of jupyter-events and jsonschema), and needs it only where a schema has the format `iri`. The package is made
   to build them at the first call: 0.75 s of 1.2 s.
2. Nothing that comes to life while modules are imported is garbage: the collector starts after the imports.
3. Bytecode is compiled now, as `unchecked-hash`: loaded without a look at its source file, and the same bytes
   whenever it is made. (uv compiles nothing unless told to, and then every first start in a container compiles.)

Fails where a package doesn't look as expected, so that a new version is noticed when it is pinned, not in use.
"""

from __future__ import annotations

import compileall
import py_compile
import sys
from pathlib import Path

_RFC3987_WAS = "from .syntax_helpers import *\n"
_RFC3987_IS = '''\
"""As published, but the grammar is compiled at the first use instead of at import (see binder-base)."""


def is_valid_syntax(term, value):
    from . import syntax_helpers

    return syntax_helpers.is_valid_syntax(term, value)


def __getattr__(name):
    from . import syntax_helpers

    return getattr(syntax_helpers, name)
'''

_LAUNCHER = """\
#!{python}
import gc
import sys

gc.disable()
from jupyterlab.labapp import main

gc.freeze()
gc.enable()
sys.exit(main())
"""


def postpone_grammar(site_packages: Path) -> None:
    module = site_packages / "rfc3987_syntax" / "__init__.py"
    if module.read_text() != _RFC3987_WAS:
        raise SystemExit(f"{module} is not as expected: look whether it still compiles its grammar at import")
    module.write_text(_RFC3987_IS)


def replace_launcher(environment: Path) -> None:
    launcher = environment / "bin" / "jupyter-lab"
    if "from jupyterlab.labapp import main" not in launcher.read_text():
        raise SystemExit(f"{launcher} is not as expected")
    launcher.write_text(_LAUNCHER.format(python=environment / "bin" / "python"))


def compile_all(site_packages: Path) -> None:
    # Some packages carry sources that don't compile (templates, tests): they are never imported either.
    compileall.compile_dir(
        site_packages,
        quiet=2,
        workers=0,
        force=True,
        invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
    )


if __name__ == "__main__":
    environment = Path(sys.argv[1])
    site_packages = next(environment.glob("lib/python3.*/site-packages"))
    postpone_grammar(site_packages)
    replace_launcher(environment)
    compile_all(site_packages)
