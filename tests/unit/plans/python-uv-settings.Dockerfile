# Binder, buildpack python: pyproject.toml describes a Python project
FROM binder-base:latest AS environment

# copy pyproject.toml
USER jovyan
COPY --chown=1000:1000 pyproject.toml /home/jovyan/

# write constraints.txt
COPY --chown=1000:1000 <<"BINDER_2ee90fe8c45d8a65" /opt/binder/env/share/constraints.txt
attrs<26
BINDER_2ee90fe8c45d8a65

# write overrides.txt
COPY --chown=1000:1000 <<"BINDER_cdd9fa3c6a138bc8" /opt/binder/env/share/overrides.txt
six==1.16
BINDER_cdd9fa3c6a138bc8

# install pyproject.toml
RUN --mount=type=cache,id=binder-wheels,target=/tmp/uv-cache,sharing=shared,uid=1000,gid=1000 \
    UV_CACHE_DIR=/tmp/uv-cache UV_NO_CONFIG=1 UV_COMPILE_BYTECODE=0 /usr/local/bin/uv pip install --no-progress --color never --no-build --python /opt/binder/env --requirement pyproject.toml --index https://x.org/simple --constraint /opt/binder/env/share/constraints.txt --override /opt/binder/env/share/overrides.txt

# compile bytecode, note versions
RUN /opt/binder/env/bin/python /opt/binder/libexec/finish.py /opt/binder/env

FROM environment

# copy the repository
USER jovyan
COPY --chown=1000:1000 . /home/jovyan/

# install the project
RUN --mount=type=cache,id=binder-uv-scope,target=/tmp/uv-cache,sharing=shared,uid=1000,gid=1000 \
    UV_CACHE_DIR=/tmp/uv-cache UV_COMPILE_BYTECODE=0 /usr/local/bin/uv pip install --no-progress --color never --python /opt/binder/env --no-deps --reinstall . && /opt/binder/env/bin/python /opt/binder/libexec/finish.py /opt/binder/env
