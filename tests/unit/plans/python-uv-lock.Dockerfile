# Binder, buildpack python: uv.lock names Python packages
FROM binder-base:latest AS environment

# copy uv.lock, pyproject.toml
USER jovyan
COPY --chown=1000:1000 uv.lock pyproject.toml /home/jovyan/

# install uv.lock
RUN --mount=type=cache,id=binder-wheels,target=/tmp/uv-cache,sharing=shared,uid=1000,gid=1000 \
    --mount=type=bind,from=binder-network,source=ca.crt,target=/etc/ssl/certs/ca-certificates.crt \
    --mount=type=bind,from=binder-network,source=pip.conf,target=/etc/pip.conf \
    --mount=type=bind,from=binder-network,source=uv.toml,target=/etc/uv/uv.toml \
    export SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt REQUESTS_CA_BUNDLE=/etc/ssl/certs/ca-certificates.crt PIP_CERT=/etc/ssl/certs/ca-certificates.crt NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt; UV_CACHE_DIR=/tmp/uv-cache UV_CONFIG_FILE=/etc/uv/uv.toml UV_COMPILE_BYTECODE=0 /usr/local/bin/uv export --quiet --frozen --no-header --no-annotate --no-emit-project --output-file /tmp/uv-exported.txt && UV_CACHE_DIR=/tmp/uv-cache UV_CONFIG_FILE=/etc/uv/uv.toml UV_COMPILE_BYTECODE=0 /usr/local/bin/uv pip install --no-progress --color never --requirement /tmp/uv-exported.txt --no-build --python /opt/binder/env && rm -f /tmp/uv-exported.txt

# compile bytecode, note versions
RUN /opt/binder/env/bin/python /opt/binder/libexec/finish.py /opt/binder/env

FROM environment

# copy the repository
USER jovyan
COPY --chown=1000:1000 . /home/jovyan/

# install the project
RUN --mount=type=cache,id=binder-uv-scope,target=/tmp/uv-cache,sharing=shared,uid=1000,gid=1000 \
    --mount=type=bind,from=binder-network,source=ca.crt,target=/etc/ssl/certs/ca-certificates.crt \
    --mount=type=bind,from=binder-network,source=pip.conf,target=/etc/pip.conf \
    --mount=type=bind,from=binder-network,source=uv.toml,target=/etc/uv/uv.toml \
    export SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt REQUESTS_CA_BUNDLE=/etc/ssl/certs/ca-certificates.crt PIP_CERT=/etc/ssl/certs/ca-certificates.crt NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt; UV_CACHE_DIR=/tmp/uv-cache UV_COMPILE_BYTECODE=0 /usr/local/bin/uv pip install --no-progress --color never --python /opt/binder/env --no-deps --reinstall . && /opt/binder/env/bin/python /opt/binder/libexec/finish.py /opt/binder/env
