# Binder, buildpack python: requirements.txt names Python packages
FROM binder-base:latest AS environment

# write requirements.txt
USER jovyan
COPY --chown=1000:1000 <<"BINDER_436036e9e6c85ad4" /opt/binder/env/share/requirements.txt
six
--extra-index-url https://x.org/s
BINDER_436036e9e6c85ad4

# install what requirements.txt names
RUN --mount=type=cache,id=binder-wheels,target=/tmp/uv-cache,sharing=shared,uid=1000,gid=1000 \
    UV_CACHE_DIR=/tmp/uv-cache UV_NO_CONFIG=1 UV_COMPILE_BYTECODE=0 /usr/local/bin/uv pip install --no-progress --color never --no-build --python /opt/binder/env --requirement /opt/binder/env/share/requirements.txt --index-strategy unsafe-best-match

# compile bytecode, note versions
RUN /opt/binder/env/bin/python /opt/binder/libexec/finish.py /opt/binder/env

FROM environment

# copy the repository
USER jovyan
COPY --chown=1000:1000 . /home/jovyan/

# install requirements.txt
RUN --mount=type=cache,id=binder-uv-scope,target=/tmp/uv-cache,sharing=shared,uid=1000,gid=1000 \
    UV_CACHE_DIR=/tmp/uv-cache UV_COMPILE_BYTECODE=0 /usr/local/bin/uv pip install --no-progress --color never --python /opt/binder/env --requirement requirements.txt --index-strategy unsafe-best-match && /opt/binder/env/bin/python /opt/binder/libexec/finish.py /opt/binder/env
