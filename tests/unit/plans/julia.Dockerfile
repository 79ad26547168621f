# Binder, buildpack julia: Project.toml describes a Julia project
FROM binder-base:latest AS environment
ENV JULIA_DEPOT_PATH="/opt/binder/julia-depot"
ENV JULIA_PROJECT="/home/jovyan"

# install Julia 1.10.13
USER root
RUN --mount=type=cache,id=binder-julia,target=/tmp/binder-julia,sharing=locked \
    set -e; machine=$(uname -m); place=$machine; if [ $machine = x86_64 ]; then place=x64; fi; file=julia-1.10.13-linux-$machine.tar.gz; sum=$(curl -fsSL --retry 2 https://julia.example/bin/checksums/julia-1.10.13.sha256 | grep " $file$" | cut -c 1-64); if [ ${#sum} != 64 ]; then echo "there is no $file"; exit 1; fi; mkdir -p /tmp/binder-julia; kept=/tmp/binder-julia/$sum; if [ ! -s $kept ]; then curl -fsSL --retry 2 -o $kept.part https://julia.example/bin/linux/$place/1.10/$file; mv $kept.part $kept; fi; if ! echo "$sum  $kept" | sha256sum --check --status; then rm $kept; echo "$file: wrong checksum"; exit 1; fi; install -d -o 1000 -g 1000 /opt/binder/julia-depot; mkdir /opt/julia; tar -xz --no-same-owner --strip-components=1 -C /opt/julia -f $kept; ln -s /opt/julia/bin/julia /usr/local/bin/julia

# copy requirements.txt
USER jovyan
COPY --chown=1000:1000 requirements.txt /home/jovyan/

# install requirements.txt
RUN --mount=type=cache,id=binder-wheels,target=/tmp/uv-cache,sharing=shared,uid=1000,gid=1000 \
    UV_CACHE_DIR=/tmp/uv-cache UV_NO_CONFIG=1 UV_COMPILE_BYTECODE=0 /usr/local/bin/uv pip install --no-progress --color never --no-build --python /opt/binder/env --requirement requirements.txt

# compile bytecode, note versions
RUN /opt/binder/env/bin/python /opt/binder/libexec/finish.py /opt/binder/env

# install IJulia
RUN env -u JULIA_PROJECT JUPYTER=/opt/binder/env/bin/jupyter JUPYTER_DATA_DIR=/opt/binder/env/share/jupyter julia -e 'using Pkg; Pkg.add("IJulia"); using IJulia; installkernel("Julia", "--project=/home/jovyan")'

# copy Project.toml, Manifest.toml
COPY --chown=1000:1000 Project.toml Manifest.toml /home/jovyan/

# install what Project.toml names
RUN julia -e 'using Pkg; Pkg.instantiate(); Pkg.precompile()'

FROM environment

# copy the repository
USER jovyan
COPY --chown=1000:1000 . /home/jovyan/
