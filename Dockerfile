# The whole suite in one image: `docker-compose.yml` runs each service in a container of its own from it.
#
# It stands on binder-base, as everything here does: one Debian, one uv, and it can be made where no container registry
# answers (`binder-control setup`, or `docker compose build base`).
#
# Build settings that leave no trace in the image: secret `ca` (a bundle of certificate authorities, PEM), secret
# `network` (lines for the shell, such as `export UV_DEFAULT_INDEX=…`), HTTP_PROXY and its like as build arguments.
ARG BASE=binder-base:latest

FROM ${BASE} AS suite
USER root
# The engine's command, BuildKit's client, and what the deploy service keeps applications apart with.
RUN --mount=type=cache,target=/var/cache/apt,sharing=locked,id=binder-base-apt \
    --mount=type=tmpfs,target=/var/lib/apt/lists --mount=type=tmpfs,target=/var/log \
    --mount=type=secret,id=network \
    if [ -s /run/secrets/network ]; then . /run/secrets/network; fi; \
    export DEBIAN_FRONTEND=noninteractive; \
    apt-get update -qq && \
    apt-get install -qq --yes --no-install-recommends docker-cli docker-buildx iptables >/dev/null
# Dependencies change less often than the suite: they are a layer of their own, made from pyproject.toml alone.
RUN --mount=type=cache,target=/tmp/uv-cache,id=binder-uv-root \
    --mount=type=bind,source=pyproject.toml,target=/tmp/dependencies/pyproject.toml \
    --mount=type=bind,source=constraints.txt,target=/tmp/constraints.txt \
    --mount=type=secret,id=ca --mount=type=secret,id=network \
    if [ -s /run/secrets/network ]; then . /run/secrets/network; fi; \
    if [ -s /run/secrets/ca ]; then export SSL_CERT_FILE=/run/secrets/ca; fi; \
    export UV_CACHE_DIR=/tmp/uv-cache UV_HTTP_TIMEOUT=180; \
    uv venv --quiet --python /usr/bin/python3 /opt/suite && \
    uv pip install --quiet --python /opt/suite --constraint /tmp/constraints.txt \
        --requirement /tmp/dependencies/pyproject.toml --extra kubernetes --extra postgres --extra server hatchling
COPY . /opt/binder-suite
RUN uv pip install --quiet --offline --no-cache --no-deps --no-build-isolation --python /opt/suite /opt/binder-suite
ENV PATH=/opt/suite/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    HOME=/root USER=root VIRTUAL_ENV=/opt/suite \
    BINDER_HOME=/var/lib/binder
LABEL org.binder.app=suite
WORKDIR /var/lib/binder
VOLUME /var/lib/binder
EXPOSE 8080
ENTRYPOINT ["tini", "--", "binder-control"]
CMD ["--help"]
