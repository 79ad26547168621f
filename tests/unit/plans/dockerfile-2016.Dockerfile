FROM binder-base:latest
USER root
RUN groupadd --non-unique --gid 1000 main && useradd --non-unique --uid 1000 --gid 1000 --home-dir /home/main --no-create-home --shell /bin/bash main && ln -s jovyan /home/main && install -d -o 1000 -g 1000 /home/jovyan/notebooks /opt/binder/env/envs && ln -s .. /opt/binder/env/envs/python3 && ln -s /opt/binder/env /home/main/anaconda && ln -s /opt/binder/env /home/main/anaconda2
USER main
ENV REPO_DIR=/home/jovyan/notebooks
WORKDIR /home/jovyan/notebooks
COPY --chown=1000:1000 . /home/jovyan/notebooks/
USER root
RUN id

USER root
RUN find /home/jovyan/notebooks -xdev ! -uid 1000 -exec chown -h 1000:1000 '{}' +
USER jovyan
WORKDIR /home/jovyan/notebooks