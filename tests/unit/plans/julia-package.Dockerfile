# Binder, buildpack julia: binder/Project.toml describes a Julia project
FROM binder-base:latest AS environment
ENV JULIA_DEPOT_PATH="/opt/binder/julia-depot"
ENV JULIA_PROJECT="/home/jovyan/binder"

# install Julia 1.12.6
USER root
RUN set -e; machine=$(uname -m); place=$machine; if [ $machine = x86_64 ]; then place=x64; fi; file=julia-1.12.6-linux-$machine.tar.gz; sum=$(curl -fsSL --retry 2 https://julialang-s3.julialang.org/bin/checksums/julia-1.12.6.sha256 | grep " $file$" | cut -c 1-64); if [ ${#sum} != 64 ]; then echo "there is no $file"; exit 1; fi; mkdir -p /tmp/binder-julia; kept=/tmp/binder-julia/$sum; if [ ! -s $kept ]; then curl -fsSL --retry 2 -o $kept.part https://julialang-s3.julialang.org/bin/linux/$place/1.12/$file; mv $kept.part $kept; fi; if ! echo "$sum  $kept" | sha256sum --check --status; then rm $kept; echo "$file: wrong checksum"; exit 1; fi; install -d -o 1000 -g 1000 /opt/binder/julia-depot; mkdir /opt/julia; tar -xz --no-same-owner --strip-components=1 -C /opt/julia -f $kept; ln -s /opt/julia/bin/julia /usr/local/bin/julia; rm -r /tmp/binder-julia

# install IJulia
USER jovyan
RUN env -u JULIA_PROJECT JUPYTER=/opt/binder/env/bin/jupyter JUPYTER_DATA_DIR=/opt/binder/env/share/jupyter julia -e 'using Pkg; Pkg.add("IJulia"); using IJulia; installkernel("Julia", "--project=/home/jovyan/binder")'

FROM environment

# copy the repository
USER jovyan
COPY --chown=1000:1000 . /home/jovyan/

# install what binder/Project.toml names
RUN julia -e 'using Pkg; Pkg.instantiate(); Pkg.precompile()'
