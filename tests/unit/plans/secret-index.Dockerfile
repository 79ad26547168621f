# Binder, buildpack python: requirements.txt names Python packages
FROM binder-base:latest AS environment

# copy requirements.txt
USER jovyan
COPY --chown=1000:1000 requirements.txt /home/jovyan/

# install requirements.txt
RUN --mount=type=cache,id=binder-uv-scope,target=/tmp/uv-cache,sharing=shared,uid=1000,gid=1000 \
    --mount=type=bind,from=binder-network,source=ca.crt,target=/etc/ssl/certs/ca-certificates.crt \
    --mount=type=secret,id=binder-pip.conf,target=/etc/pip.conf,mode=0444 \
    --mount=type=secret,id=binder-uv.toml,target=/etc/uv/uv.toml,mode=0444 \
    export SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt REQUESTS_CA_BUNDLE=/etc/ssl/certs/ca-certificates.crt PIP_CERT=/etc/ssl/certs/ca-certificates.crt NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt; UV_CACHE_DIR=/tmp/uv-cache UV_COMPILE_BYTECODE=0 /usr/local/bin/uv pip install --no-progress --color never --python /opt/binder/env --requirement requirements.txt && /opt/binder/env/bin/python /opt/binder/libexec/finish.py /opt/binder/env

FROM environment

# copy the repository
USER jovyan
COPY --chown=1000:1000 . /home/jovyan/
