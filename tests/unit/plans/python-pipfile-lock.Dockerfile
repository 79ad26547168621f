# Binder, buildpack python: Pipfile.lock names Python packages
FROM binder-base:latest AS environment

# write requirements.txt
USER jovyan
COPY --chown=1000:1000 <<"BINDER_012f220ef5613dd3" /opt/binder/env/share/requirements.txt
attrs[dev]==26.1.0
six==1.16.0; python_version >= "3.8" --hash=sha256:abababababababababababababababababababababababababababababababab
BINDER_012f220ef5613dd3

# install Pipfile.lock
RUN --mount=type=cache,id=binder-wheels,target=/tmp/uv-cache,sharing=shared,uid=1000,gid=1000 \
    UV_CACHE_DIR=/tmp/uv-cache UV_NO_CONFIG=1 UV_COMPILE_BYTECODE=0 /usr/local/bin/uv pip install --no-progress --color never --no-build --python /opt/binder/env --requirement /opt/binder/env/share/requirements.txt --index https://more.example.org/simple --index-strategy unsafe-best-match

# compile bytecode, note versions
RUN /opt/binder/env/bin/python /opt/binder/libexec/finish.py /opt/binder/env

FROM environment

# copy the repository
USER jovyan
COPY --chown=1000:1000 . /home/jovyan/
