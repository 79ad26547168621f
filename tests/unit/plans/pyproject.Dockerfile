# Binder, buildpack python: pyproject.toml describes a Python project
FROM binder-base:latest

# copy pyproject.toml
USER jovyan
COPY --chown=1000:1000 pyproject.toml /home/jovyan/

# install the dependencies of pyproject.toml
RUN --mount=type=cache,id=binder-uv-scope,target=/tmp/uv-cache,sharing=shared,uid=1000,gid=1000 \
    UV_CACHE_DIR=/tmp/uv-cache uv pip install --no-progress --color never --python /opt/binder/env --requirement pyproject.toml

# copy the repository
COPY --chown=1000:1000 . /home/jovyan/

# install the project
RUN --mount=type=cache,id=binder-uv-scope,target=/tmp/uv-cache,sharing=shared,uid=1000,gid=1000 \
    UV_CACHE_DIR=/tmp/uv-cache uv pip install --no-progress --color never --python /opt/binder/env --no-deps --reinstall .
