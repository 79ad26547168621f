# Binder, buildpack python: requirements.txt names Python packages
FROM binder-base:latest AS environment

# copy pyproject.toml
USER jovyan
COPY --chown=1000:1000 pyproject.toml /home/jovyan/

# write requirements.txt
COPY --chown=1000:1000 <<"BINDER_fe2547fe2604b445" /opt/binder/env/share/requirements.txt
six
BINDER_fe2547fe2604b445

# install what requirements.txt names and pyproject.toml
RUN --mount=type=cache,id=binder-uv-scope,target=/tmp/uv-cache,sharing=shared,uid=1000,gid=1000 \
    UV_CACHE_DIR=/tmp/uv-cache UV_COMPILE_BYTECODE=0 /usr/local/bin/uv pip install --no-progress --color never --python /opt/binder/env --requirement /opt/binder/env/share/requirements.txt --requirement pyproject.toml && /opt/binder/env/bin/python /opt/binder/libexec/finish.py /opt/binder/env

FROM environment

# copy the repository
USER jovyan
COPY --chown=1000:1000 . /home/jovyan/

# install requirements.txt
RUN --mount=type=cache,id=binder-uv-scope,target=/tmp/uv-cache,sharing=shared,uid=1000,gid=1000 \
    UV_CACHE_DIR=/tmp/uv-cache UV_COMPILE_BYTECODE=0 /usr/local/bin/uv pip install --no-progress --color never --python /opt/binder/env --requirement requirements.txt && /opt/binder/env/bin/python /opt/binder/libexec/finish.py /opt/binder/env
