# Binder, buildpack nix: default.nix describes a Nix shell
FROM binder-base:latest AS environment
ENV NIX_PATH="nixpkgs=channel:nixos-25.05"
ENV NIX_SSL_CERT_FILE="/etc/ssl/certs/ca-certificates.crt"
ENV NIX_BUILD_SHELL="/bin/bash"

# install Debian packages
USER root
RUN --mount=type=cache,id=binder-apt-archives,target=/var/cache/apt,sharing=locked \
    --mount=type=cache,id=binder-apt-lists,target=/var/lib/apt/lists,sharing=locked \
    export DEBIAN_FRONTEND=noninteractive; apt-get update -qq && apt-get install -qq --yes --no-install-recommends --option Dpkg::Use-Pty=0 -- nix-bin

# set up Nix
RUN install -d -o 1000 -g 1000 /nix /nix/store /nix/var /nix/var/nix && install -d /etc/nix && printf '%s\n' 'sandbox = false' 'build-users-group =' >/etc/nix/nix.conf && mv /opt/binder/bin/start /opt/binder/libexec/start && printf '%s\n' '#!/bin/bash' '# Entry point: the command, by way of the repository'"'"'s own start script, inside the shell of default.nix.' 'printf -v command '"'"'%q '"'"' /opt/binder/libexec/start "$@"' 'exec nix-shell "$(readlink /nix/binder-shell.drv)" --run "exec $command"' >/opt/binder/bin/start && chmod 755 /opt/binder/bin/start

# copy default.nix
USER jovyan
COPY --chown=1000:1000 default.nix /home/jovyan/

# build the shell of default.nix
RUN IN_NIX_SHELL=impure nix-instantiate --arg inNixShell true --indirect --add-root /nix/binder-shell.drv ./default.nix && nix-shell "$(readlink /nix/binder-shell.drv)" --run true && rm -rf "$HOME/.cache/nix"

FROM environment

# copy the repository
USER jovyan
COPY --chown=1000:1000 . /home/jovyan/
