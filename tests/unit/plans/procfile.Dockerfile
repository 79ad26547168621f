# Binder, buildpack bare: no file says what to install: the base image and the repository's contents
FROM binder-base:latest

# copy the repository
USER jovyan
COPY --chown=1000:1000 . /home/jovyan/

# start the application
ENV PORT="8888"
CMD ["bash", "-c", "exec python app.py"]
