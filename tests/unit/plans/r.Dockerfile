# Binder, buildpack r: runtime.txt names a version of R
FROM binder-base:latest AS ahead

# copy requirements.txt
USER jovyan
COPY --chown=1000:1000 requirements.txt /home/jovyan/

# download for: install requirements.txt
RUN --mount=type=cache,id=binder-wheels,target=/tmp/uv-cache,sharing=shared,uid=1000,gid=1000 \
    UV_CACHE_DIR=/tmp/uv-cache UV_NO_CONFIG=1 UV_COMPILE_BYTECODE=0 UV_LINK_MODE=symlink /usr/local/bin/uv pip install --no-progress --color never --quiet --no-build --python /opt/binder/env --target /tmp/ahead --requirement requirements.txt 2>/dev/null || true

FROM binder-base:latest AS environment
ENV R_LIBS_USER="/opt/binder/r-library"

# install Debian packages
USER root
RUN --mount=type=cache,id=binder-apt-archives,target=/var/cache/apt,sharing=locked \
    --mount=type=cache,id=binder-apt-lists,target=/var/lib/apt/lists,sharing=locked \
    export DEBIAN_FRONTEND=noninteractive; apt-get update -qq && apt-get install -qq --yes --no-install-recommends --option Dpkg::Use-Pty=0 -- r-base-core r-base-dev r-cran-irkernel r-cran-remotes libcurl4-openssl-dev libssl-dev libxml2-dev

# set up R
RUN install -d -o 1000 -g 1000 /opt/binder/r-library && printf '%s\n' 'local({' '  about <- paste(getRversion(), R.version$platform, R.version$arch, R.version$os)' '  options(repos = c(CRAN = "https://cran.example/snapshots/2025-06-30"), HTTPUserAgent = sprintf("R/%s R (%s)", getRversion(), about))' '})' >>/etc/R/Rprofile.site

# copy requirements.txt
USER jovyan
COPY --chown=1000:1000 requirements.txt /home/jovyan/

# install requirements.txt
RUN --mount=type=bind,from=ahead,source=/home/jovyan,target=/tmp/binder-ahead \
    --mount=type=cache,id=binder-wheels,target=/tmp/uv-cache,sharing=shared,uid=1000,gid=1000 \
    UV_CACHE_DIR=/tmp/uv-cache UV_NO_CONFIG=1 UV_COMPILE_BYTECODE=0 /usr/local/bin/uv pip install --no-progress --color never --no-build --python /opt/binder/env --requirement requirements.txt

# compile bytecode, note versions
RUN /opt/binder/env/bin/python /opt/binder/libexec/finish.py /opt/binder/env

# copy install.R
COPY --chown=1000:1000 install.R /home/jovyan/

# run install.R
RUN Rscript -e 'options(Ncpus = parallel::detectCores()); withCallingHandlers(source(commandArgs(TRUE)[1]), warning = function(w) if (grepl("packages? .*(is|are) not available|non-zero exit status|one or more packages failed", conditionMessage(w))) stop(conditionMessage(w), call. = FALSE))' install.R

# copy DESCRIPTION
COPY --chown=1000:1000 DESCRIPTION /home/jovyan/

# install what DESCRIPTION names
RUN Rscript -e 'options(Ncpus = parallel::detectCores()); withCallingHandlers(remotes::install_deps(".", upgrade = "never"), warning = function(w) if (grepl("packages? .*(is|are) not available|non-zero exit status|one or more packages failed", conditionMessage(w))) stop(conditionMessage(w), call. = FALSE))'

FROM environment

# copy the repository
USER jovyan
COPY --chown=1000:1000 . /home/jovyan/

# install the R package
RUN R CMD INSTALL --clean --library=/opt/binder/r-library .
