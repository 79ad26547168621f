# Binder, buildpack conda: binder/environment.yml describes a conda environment
FROM binder-base:latest AS tool-rattler

# make py-rattler ready
USER jovyan
RUN --mount=type=cache,id=binder-wheels,target=/tmp/uv-cache,sharing=shared,uid=1000,gid=1000 \
    --mount=type=bind,from=binder-network,source=ca.crt,target=/etc/ssl/certs/ca-certificates.crt \
    --mount=type=bind,from=binder-network,source=pip.conf,target=/etc/pip.conf \
    --mount=type=bind,from=binder-network,source=uv.toml,target=/etc/uv/uv.toml \
    export SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt REQUESTS_CA_BUNDLE=/etc/ssl/certs/ca-certificates.crt PIP_CERT=/etc/ssl/certs/ca-certificates.crt NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt; UV_CACHE_DIR=/tmp/uv-cache UV_COMPILE_BYTECODE=0 uv pip install --no-progress --color never --no-build --python /opt/binder/env --target /tmp/binder-rattler py-rattler==0.28.0

FROM scratch AS tool-conda
COPY <<"END" /tmp/binder-conda/conda.py
(the program)
END
COPY <<"END" /tmp/binder-conda/request.json
{"as_of": "2025-01-01", "channels": ["https://conda.anaconda.org/conda-forge", "https://repo.anaconda.com/pkgs/main", "https://repo.anaconda.com/pkgs/r"], "mirrors": {"https://conda.anaconda.org/": "https://mirror.example.org/conda/", "https://repo.anaconda.com/pkgs/": "https://mirror.example.org/conda/"}, "pip": ["six", "-r more.txt"], "python": true, "specs": ["python=3.11", "numpy>=2"], "variables": {}, "with_python": ["jupyterlab", "ipykernel", "pip"]}
END

FROM binder-base:latest AS environment
ENV PATH="/home/jovyan/.local/bin:/srv/conda/envs/notebook/bin:/opt/binder/env/bin:/opt/binder/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
ENV CONDA_DIR="/srv/conda"
ENV CONDA_PREFIX="/srv/conda/envs/notebook"
ENV CONDA_DEFAULT_ENV="/srv/conda/envs/notebook"
ENV NB_PYTHON_PREFIX="/srv/conda/envs/notebook"
ENV KERNEL_PYTHON_PREFIX="/srv/conda/envs/notebook"
ENV JUPYTER_PATH="/srv/conda/envs/notebook/share/jupyter"
ENV JUPYTER_CONFIG_PATH="/opt/binder/env/etc/jupyter"
ENV VIRTUAL_ENV=""
ENV BASH_ENV="/srv/conda/envs/notebook/share/binder/activate.sh"

# install the conda environment of binder/environment.yml
USER jovyan
RUN --mount=type=bind,from=tool-rattler,source=/tmp/binder-rattler,target=/tmp/binder-rattler \
    --mount=type=bind,from=tool-conda,source=/tmp/binder-conda,target=/tmp/binder-conda \
    --mount=type=cache,id=binder-conda-8150cc27a047fda8,target=/tmp/conda-cache,sharing=shared,uid=1000,gid=1000 \
    --mount=type=bind,from=binder-network,source=ca.crt,target=/etc/ssl/certs/ca-certificates.crt \
    --mount=type=bind,from=binder-network,source=pip.conf,target=/etc/pip.conf \
    --mount=type=bind,from=binder-network,source=uv.toml,target=/etc/uv/uv.toml \
    export SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt REQUESTS_CA_BUNDLE=/etc/ssl/certs/ca-certificates.crt PIP_CERT=/etc/ssl/certs/ca-certificates.crt NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt; rm -f /srv/conda/envs/notebook && mkdir /srv/conda/envs/notebook && PYTHONPATH=/tmp/binder-rattler /opt/binder/env/bin/python /tmp/binder-conda/conda.py /tmp/binder-conda/request.json /srv/conda/envs/notebook /tmp/conda-cache

# compile bytecode, note versions
RUN [ ! -x /srv/conda/envs/notebook/bin/python ] || /srv/conda/envs/notebook/bin/python /opt/binder/libexec/finish.py /srv/conda/envs/notebook || true

FROM environment

# copy the repository
USER jovyan
COPY --chown=1000:1000 . /home/jovyan/

# install pip's packages
RUN --mount=type=cache,id=binder-uv-scope,target=/tmp/uv-cache,sharing=shared,uid=1000,gid=1000 \
    --mount=type=bind,from=binder-network,source=ca.crt,target=/etc/ssl/certs/ca-certificates.crt \
    --mount=type=bind,from=binder-network,source=pip.conf,target=/etc/pip.conf \
    --mount=type=bind,from=binder-network,source=uv.toml,target=/etc/uv/uv.toml \
    export SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt REQUESTS_CA_BUNDLE=/etc/ssl/certs/ca-certificates.crt PIP_CERT=/etc/ssl/certs/ca-certificates.crt NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt; cd /home/jovyan/binder && UV_CACHE_DIR=/tmp/uv-cache UV_EXCLUDE_NEWER=2025-01-01 UV_COMPILE_BYTECODE=0 /usr/local/bin/uv pip install --no-progress --color never --python /srv/conda/envs/notebook --requirement - </srv/conda/envs/notebook/share/binder/pip.txt && /srv/conda/envs/notebook/bin/python /opt/binder/libexec/finish.py /srv/conda/envs/notebook
