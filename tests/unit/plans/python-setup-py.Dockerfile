# Binder, buildpack python: requirements.txt names Python packages
FROM binder-base:latest AS environment

# copy requirements.txt
USER jovyan
COPY --chown=1000:1000 requirements.txt /home/jovyan/

# install requirements.txt
RUN --mount=type=cache,id=binder-uv-scope,target=/tmp/uv-cache,sharing=shared,uid=1000,gid=1000 \
    UV_CACHE_DIR=/tmp/uv-cache UV_COMPILE_BYTECODE=0 /usr/local/bin/uv pip install --no-progress --color never --python /opt/binder/env --requirement requirements.txt && /opt/binder/env/bin/python /opt/binder/libexec/finish.py /opt/binder/env

FROM environment

# copy the repository
USER jovyan
COPY --chown=1000:1000 . /home/jovyan/

# install the project
RUN --mount=type=cache,id=binder-uv-scope,target=/tmp/uv-cache,sharing=shared,uid=1000,gid=1000 \
    UV_CACHE_DIR=/tmp/uv-cache UV_COMPILE_BYTECODE=0 /usr/local/bin/uv pip install --no-progress --color never --python /opt/binder/env --refresh . && /opt/binder/env/bin/python /opt/binder/libexec/finish.py /opt/binder/env
