# Binder, buildpack python: requirements.txt names Python packages
FROM binder-base:latest AS ahead

# copy requirements.txt, pyproject.toml
USER jovyan
COPY --chown=1000:1000 requirements.txt pyproject.toml /home/jovyan/

# download for: install requirements.txt and pyproject.toml
RUN --mount=type=cache,id=binder-wheels,target=/tmp/uv-cache,sharing=shared,uid=1000,gid=1000 \
    UV_CACHE_DIR=/tmp/uv-cache UV_NO_CONFIG=1 UV_COMPILE_BYTECODE=0 UV_LINK_MODE=symlink /usr/local/bin/uv pip install --no-progress --color never --quiet --no-build --python /opt/binder/env --target /tmp/ahead --requirement requirements.txt --requirement pyproject.toml 2>/dev/null || true

FROM binder-base:latest AS environment

# install Debian packages
USER root
RUN --mount=type=cache,id=binder-apt-archives,target=/var/cache/apt,sharing=locked \
    --mount=type=cache,id=binder-apt-lists,target=/var/lib/apt/lists,sharing=locked \
    export DEBIAN_FRONTEND=noninteractive; apt-get update -qq && apt-get install -qq --yes --no-install-recommends --option Dpkg::Use-Pty=0 -- graphviz

# copy requirements.txt, pyproject.toml
USER jovyan
COPY --chown=1000:1000 requirements.txt pyproject.toml /home/jovyan/

# install requirements.txt and pyproject.toml
RUN --mount=type=bind,from=ahead,source=/home/jovyan,target=/tmp/binder-ahead \
    --mount=type=cache,id=binder-wheels,target=/tmp/uv-cache,sharing=shared,uid=1000,gid=1000 \
    UV_CACHE_DIR=/tmp/uv-cache UV_NO_CONFIG=1 UV_COMPILE_BYTECODE=0 /usr/local/bin/uv pip install --no-progress --color never --no-build --python /opt/binder/env --requirement requirements.txt --requirement pyproject.toml

# compile bytecode, note versions
RUN /opt/binder/env/bin/python /opt/binder/libexec/finish.py /opt/binder/env

FROM environment

# copy the repository
USER jovyan
COPY --chown=1000:1000 . /home/jovyan/

# install the project
RUN --mount=type=cache,id=binder-uv-scope,target=/tmp/uv-cache,sharing=shared,uid=1000,gid=1000 \
    UV_CACHE_DIR=/tmp/uv-cache UV_COMPILE_BYTECODE=0 /usr/local/bin/uv pip install --no-progress --color never --python /opt/binder/env --no-deps --reinstall . && /opt/binder/env/bin/python /opt/binder/libexec/finish.py /opt/binder/env
