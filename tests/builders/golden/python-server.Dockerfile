FROM docker.io/library/python:3.11-slim@sha256:9c900dea9e8fb7e16277c179b555cc72d29a352dbc33cff48ad5a0412fd5bfc7
# Wheels are seen while they are installed, and leave no copy behind.
RUN --mount=type=bind,source=install.sh,target=/tmp/install.sh \
    --mount=type=bind,source=requirements,target=/tmp/requirements \
    --mount=type=bind,source=wheels,target=/tmp/wheels \
    sh /tmp/install.sh
COPY third_party/ /opt/server/third_party/
COPY code/ /opt/server/code/
COPY server.py /opt/server/
ENV MODEL_NAME=minilm \
    MODEL_VERSION=1.2.0 \
    MODEL_PATH=/models/minilm \
    PORT=8080 \
    WORKERS=2 \
    THREADS=0 \
    MAX_BODY_MIB=32 \
    PYTHONPATH=/opt/server/code:/opt/server/third_party \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
USER 65532:65532
EXPOSE 8080
CMD ["python3", "/opt/server/server.py"]
