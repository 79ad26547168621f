# Binder, buildpack python: pyproject.toml describes a Python project
FROM binder-base:latest AS environment

# copy pyproject.toml
USER jovyan
COPY --chown=1000:1000 pyproject.toml /home/jovyan/

# install pyproject.toml
RUN --mount=type=cache,id=binder-uv-scope,target=/tmp/uv-cache,sharing=shared,uid=1000,gid=1000 \
    UV_CACHE_DIR=/tmp/uv-cache UV_COMPILE_BYTECODE=0 /usr/local/bin/uv pip install --no-progress --color never --python /opt/binder/env --requirement pyproject.toml && /opt/binder/env/bin/python /opt/binder/libexec/finish.py /opt/binder/env

FROM environment

# copy the repository
USER jovyan
COPY --chown=1000:1000 . /home/jovyan/
