# Binder, buildpack python: binder/requirements.txt names Python packages
FROM binder-base:latest AS environment

# install Debian packages
USER root
RUN --mount=type=cache,id=binder-apt-archives,target=/var/cache/apt,sharing=locked \
    --mount=type=cache,id=binder-apt-lists,target=/var/lib/apt/lists,sharing=locked \
    --mount=type=bind,from=binder-network,source=ca.crt,target=/etc/ssl/certs/ca-certificates.crt \
    --mount=type=bind,from=binder-network,source=pip.conf,target=/etc/pip.conf \
    --mount=type=bind,from=binder-network,source=uv.toml,target=/etc/uv/uv.toml \
    export SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt REQUESTS_CA_BUNDLE=/etc/ssl/certs/ca-certificates.crt PIP_CERT=/etc/ssl/certs/ca-certificates.crt NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt; export DEBIAN_FRONTEND=noninteractive; apt-get update -qq && apt-get install -qq --yes --no-install-recommends --option Dpkg::Use-Pty=0 -- graphviz git=1:2.47

# copy binder/requirements.txt, binder/more/extra.txt, constraints.txt
USER jovyan
COPY --chown=1000:1000 binder/requirements.txt /home/jovyan/binder/
COPY --chown=1000:1000 binder/more/extra.txt /home/jovyan/binder/more/
COPY --chown=1000:1000 constraints.txt /home/jovyan/

# install binder/requirements.txt
RUN --mount=type=cache,id=binder-uv-scope,target=/tmp/uv-cache,sharing=shared,uid=1000,gid=1000 \
    --mount=type=bind,from=binder-network,source=ca.crt,target=/etc/ssl/certs/ca-certificates.crt \
    --mount=type=bind,from=binder-network,source=pip.conf,target=/etc/pip.conf \
    --mount=type=bind,from=binder-network,source=uv.toml,target=/etc/uv/uv.toml \
    export SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt REQUESTS_CA_BUNDLE=/etc/ssl/certs/ca-certificates.crt PIP_CERT=/etc/ssl/certs/ca-certificates.crt NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt; UV_CACHE_DIR=/tmp/uv-cache UV_COMPILE_BYTECODE=0 /usr/local/bin/uv pip install --no-progress --color never --python /opt/binder/env --requirement binder/requirements.txt && /opt/binder/env/bin/python /opt/binder/libexec/finish.py /opt/binder/env

FROM environment

# copy the repository
USER jovyan
COPY --chown=1000:1000 . /home/jovyan/

# prepare binder/start
RUN --mount=type=bind,from=binder-network,source=ca.crt,target=/etc/ssl/certs/ca-certificates.crt \
    --mount=type=bind,from=binder-network,source=pip.conf,target=/etc/pip.conf \
    --mount=type=bind,from=binder-network,source=uv.toml,target=/etc/uv/uv.toml \
    export SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt REQUESTS_CA_BUNDLE=/etc/ssl/certs/ca-certificates.crt PIP_CERT=/etc/ssl/certs/ca-certificates.crt NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt; chmod +x binder/start

# run binder/postBuild
RUN --mount=type=bind,from=binder-network,source=ca.crt,target=/etc/ssl/certs/ca-certificates.crt \
    --mount=type=bind,from=binder-network,source=pip.conf,target=/etc/pip.conf \
    --mount=type=bind,from=binder-network,source=uv.toml,target=/etc/uv/uv.toml \
    export SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt REQUESTS_CA_BUNDLE=/etc/ssl/certs/ca-certificates.crt PIP_CERT=/etc/ssl/certs/ca-certificates.crt NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt; chmod +x binder/postBuild && ./binder/postBuild
