# Binder, buildpack python: requirements.txt names Python packages
FROM binder-base:latest AS environment
ENV PATH="/home/jovyan/.local/bin:/opt/binder/python/env/bin:/opt/binder/env/bin:/opt/binder/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
ENV VIRTUAL_ENV="/opt/binder/python/env"
ENV NB_PYTHON_PREFIX="/opt/binder/python/env"
ENV KERNEL_PYTHON_PREFIX="/opt/binder/python/env"

# make room for Python
USER root
RUN install -d -o 1000 -g 1000 /opt/binder/python

# install Python 3.10
USER jovyan
RUN --mount=type=cache,id=binder-pythons-631146692535,target=/tmp/uv-pythons,sharing=shared,uid=1000,gid=1000 \
    export UV_PYTHON_INSTALL_DIR=/opt/binder/python/versions UV_PYTHON_DOWNLOADS=manual UV_NO_CONFIG=1 UV_PYTHON_CACHE_DIR=/tmp/uv-pythons UV_PYTHON_INSTALL_MIRROR=https://mirror.example.org/pythons; /usr/local/bin/uv python install --no-bin --no-progress --color never 3.10 && /usr/local/bin/uv venv --quiet --no-project --managed-python --python 3.10 /opt/binder/python/env && mkdir -p /opt/binder/python/env/etc/jupyter && ln -s /opt/binder/env/etc/jupyter/jupyter_server_config.py /opt/binder/python/env/etc/jupyter/jupyter_server_config.py || { echo 'Python 3.10, which runtime.txt asks for, can'"'"'t be had here. There is Python 3.13.' >&2; exit 1; }

# install JupyterLab for Python 3.10
RUN --mount=type=cache,id=binder-wheels,target=/tmp/uv-cache,sharing=shared,uid=1000,gid=1000 \
    UV_CACHE_DIR=/tmp/uv-cache UV_NO_CONFIG=1 UV_COMPILE_BYTECODE=0 /usr/local/bin/uv pip install --no-progress --color never --no-build --python /opt/binder/python/env jupyterlab ipykernel pip

# compile bytecode, note versions
RUN /opt/binder/python/env/bin/python /opt/binder/libexec/finish.py /opt/binder/python/env

# copy requirements.txt
COPY --chown=1000:1000 requirements.txt /home/jovyan/

# install requirements.txt
RUN --mount=type=cache,id=binder-wheels,target=/tmp/uv-cache,sharing=shared,uid=1000,gid=1000 \
    UV_CACHE_DIR=/tmp/uv-cache UV_NO_CONFIG=1 UV_COMPILE_BYTECODE=0 /usr/local/bin/uv pip install --no-progress --color never --no-build --python /opt/binder/python/env --requirement requirements.txt

# compile bytecode, note versions
RUN /opt/binder/python/env/bin/python /opt/binder/libexec/finish.py /opt/binder/python/env

FROM environment

# copy the repository
USER jovyan
COPY --chown=1000:1000 . /home/jovyan/
