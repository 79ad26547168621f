# Binder, buildpack python: pylock.toml names Python packages
FROM binder-base:latest AS environment

# copy pylock.toml
USER jovyan
COPY --chown=1000:1000 pylock.toml /home/jovyan/

# install pylock.toml
RUN --mount=type=cache,id=binder-wheels,target=/tmp/uv-cache,sharing=shared,uid=1000,gid=1000 \
    UV_CACHE_DIR=/tmp/uv-cache UV_EXCLUDE_NEWER=2025-01-01 UV_NO_CONFIG=1 UV_COMPILE_BYTECODE=0 /usr/local/bin/uv pip install --no-progress --color never --no-build --python /opt/binder/env --preview-features pylock --requirement pylock.toml

# compile bytecode, note versions
RUN /opt/binder/env/bin/python /opt/binder/libexec/finish.py /opt/binder/env

FROM environment

# copy the repository
USER jovyan
COPY --chown=1000:1000 . /home/jovyan/
