# Binder, buildpack python: poetry.lock names Python packages
FROM binder-base:latest AS environment

# write requirements.txt
USER jovyan
COPY --chown=1000:1000 <<"BINDER_fe2547fe2604b445" /opt/binder/env/share/requirements.txt
six
BINDER_fe2547fe2604b445

# write constraints.txt
COPY --chown=1000:1000 <<"BINDER_1b7e2a8ddd1e8405" /opt/binder/env/share/constraints.txt
six==1.16.0 --hash=sha256:abababababababababababababababababababababababababababababababab
BINDER_1b7e2a8ddd1e8405

# install poetry.lock
RUN --mount=type=cache,id=binder-wheels,target=/tmp/uv-cache,sharing=shared,uid=1000,gid=1000 \
    UV_CACHE_DIR=/tmp/uv-cache UV_NO_CONFIG=1 UV_COMPILE_BYTECODE=0 /usr/local/bin/uv pip install --no-progress --color never --no-build --python /opt/binder/env --requirement /opt/binder/env/share/requirements.txt --constraint /opt/binder/env/share/constraints.txt

# compile bytecode, note versions
RUN /opt/binder/env/bin/python /opt/binder/libexec/finish.py /opt/binder/env

FROM environment

# copy the repository
USER jovyan
COPY --chown=1000:1000 . /home/jovyan/
