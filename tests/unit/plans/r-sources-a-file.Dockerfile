# Binder, buildpack r: binder/install.R installs R packages
FROM binder-base:latest AS environment
ENV R_LIBS_USER="/opt/binder/r-library"

# install Debian packages
USER root
RUN --mount=type=cache,id=binder-apt-archives,target=/var/cache/apt,sharing=locked \
    --mount=type=cache,id=binder-apt-lists,target=/var/lib/apt/lists,sharing=locked \
    export DEBIAN_FRONTEND=noninteractive; apt-get update -qq && apt-get install -qq --yes --no-install-recommends --option Dpkg::Use-Pty=0 -- r-base-core r-base-dev r-cran-irkernel r-cran-remotes libcurl4-openssl-dev libssl-dev libxml2-dev

# set up R
RUN install -d -o 1000 -g 1000 /opt/binder/r-library && printf '%s\n' 'local({' '  about <- paste(getRversion(), R.version$platform, R.version$arch, R.version$os)' '  options(repos = c(CRAN = "https://packagemanager.posit.co/cran/__linux__/trixie/latest"), HTTPUserAgent = sprintf("R/%s R (%s)", getRversion(), about))' '})' >>/etc/R/Rprofile.site
USER jovyan

FROM environment

# copy the repository
USER jovyan
COPY --chown=1000:1000 . /home/jovyan/

# run binder/install.R
RUN Rscript -e 'options(Ncpus = parallel::detectCores()); withCallingHandlers(source(commandArgs(TRUE)[1]), warning = function(w) if (grepl("packages? .*(is|are) not available|non-zero exit status|one or more packages failed", conditionMessage(w))) stop(conditionMessage(w), call. = FALSE))' binder/install.R
