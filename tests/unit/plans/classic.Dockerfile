# Binder, buildpack python: requirements.txt names Python packages
FROM binder-base:latest AS environment

# install Debian packages
USER root
RUN export DEBIAN_FRONTEND=noninteractive; apt-get update -qq && apt-get install -qq --yes --no-install-recommends --option Dpkg::Use-Pty=0 -- tree && rm -rf /var/lib/apt/lists/* /var/cache/apt/*

# copy requirements.txt
USER jovyan
COPY --chown=1000:1000 requirements.txt /home/jovyan/

# install requirements.txt
RUN UV_NO_CACHE=1 UV_COMPILE_BYTECODE=0 /usr/local/bin/uv pip install --no-progress --color never --python /opt/binder/env --requirement requirements.txt && /opt/binder/env/bin/python /opt/binder/libexec/finish.py /opt/binder/env

FROM environment

# copy the repository
USER jovyan
COPY --chown=1000:1000 . /home/jovyan/
