# Binder, buildpack python: requirements.txt names Python packages
FROM binder-base:latest AS ahead

# copy requirements.txt
USER jovyan
COPY --chown=1000:1000 requirements.txt /home/jovyan/

# download for: install requirements.txt
RUN --mount=type=cache,id=binder-wheels-scope,target=/tmp/uv-cache,sharing=shared,uid=1000,gid=1000 \
    --mount=type=secret,id=binder-pip.conf+lab,target=/etc/pip.conf,mode=0444 \
    --mount=type=secret,id=binder-uv.toml+lab,target=/etc/uv/uv.toml,mode=0444 \
    --mount=type=secret,id=own-scope-licence,target=/run/secrets/licence,mode=0400,uid=1000,gid=1000 \
    --mount=type=secret,id=own-scope-token,target=/run/secrets/token,mode=0400,uid=1000,gid=1000 \
    UV_CACHE_DIR=/tmp/uv-cache UV_CONFIG_FILE=/etc/uv/uv.toml UV_COMPILE_BYTECODE=0 UV_LINK_MODE=symlink /usr/local/bin/uv pip install --no-progress --color never --quiet --no-build --python /opt/binder/env --target /tmp/ahead --requirement requirements.txt 2>/dev/null || true

FROM binder-base:latest AS environment

# install Debian packages
USER root
RUN --mount=type=cache,id=binder-apt-archives,target=/var/cache/apt,sharing=locked \
    --mount=type=cache,id=binder-apt-lists,target=/var/lib/apt/lists,sharing=locked \
    --mount=type=secret,id=binder-pip.conf+lab,target=/etc/pip.conf,mode=0444 \
    --mount=type=secret,id=binder-uv.toml+lab,target=/etc/uv/uv.toml,mode=0444 \
    export DEBIAN_FRONTEND=noninteractive; apt-get update -qq && apt-get install -qq --yes --no-install-recommends --option Dpkg::Use-Pty=0 -- tree

# copy requirements.txt
USER jovyan
COPY --chown=1000:1000 requirements.txt /home/jovyan/

# install requirements.txt
RUN --mount=type=bind,from=ahead,source=/home/jovyan,target=/tmp/binder-ahead \
    --mount=type=cache,id=binder-wheels-scope,target=/tmp/uv-cache,sharing=shared,uid=1000,gid=1000 \
    --mount=type=secret,id=binder-pip.conf+lab,target=/etc/pip.conf,mode=0444 \
    --mount=type=secret,id=binder-uv.toml+lab,target=/etc/uv/uv.toml,mode=0444 \
    --mount=type=secret,id=own-scope-licence,target=/run/secrets/licence,mode=0400,uid=1000,gid=1000 \
    --mount=type=secret,id=own-scope-token,target=/run/secrets/token,mode=0400,uid=1000,gid=1000 \
    UV_CACHE_DIR=/tmp/uv-cache UV_CONFIG_FILE=/etc/uv/uv.toml UV_COMPILE_BYTECODE=0 /usr/local/bin/uv pip install --no-progress --color never --no-build --python /opt/binder/env --requirement requirements.txt

# compile bytecode, note versions
RUN /opt/binder/env/bin/python /opt/binder/libexec/finish.py /opt/binder/env

FROM environment

# copy the repository
USER jovyan
COPY --chown=1000:1000 . /home/jovyan/

# run postBuild
RUN --mount=type=secret,id=binder-pip.conf+lab,target=/etc/pip.conf,mode=0444 \
    --mount=type=secret,id=binder-uv.toml+lab,target=/etc/uv/uv.toml,mode=0444 \
    --mount=type=secret,id=own-scope-licence,target=/run/secrets/licence,mode=0400,uid=1000,gid=1000 \
    --mount=type=secret,id=own-scope-token,target=/run/secrets/token,mode=0400,uid=1000,gid=1000 \
    chmod +x postBuild && ./postBuild
