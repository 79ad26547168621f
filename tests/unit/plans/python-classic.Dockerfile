# Binder, buildpack python: Pipfile names Python packages
FROM binder-base:latest AS environment

# write requirements.txt
USER jovyan
RUN echo c2l4Cg== | base64 --decode >/opt/binder/env/share/requirements.txt

# install Pipfile
RUN UV_NO_CACHE=1 UV_COMPILE_BYTECODE=0 /usr/local/bin/uv pip install --no-progress --color never --python /opt/binder/env --requirement /opt/binder/env/share/requirements.txt && /opt/binder/env/bin/python /opt/binder/libexec/finish.py /opt/binder/env

FROM environment

# copy the repository
USER jovyan
COPY --chown=1000:1000 . /home/jovyan/
