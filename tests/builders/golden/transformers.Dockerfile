FROM docker.io/pytorch/pytorch:2.10.0-cuda12.8-cudnn9-runtime@sha256:b85566342b86d13a67712e9315d40cdc2dad7f8d86df1aff3831f80835edbcca
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
    PORT=8000 \
    TASK=text-classification \
    DEVICE=auto \
    DTYPE=auto \
    MAX_BODY_MIB=32 \
    PYTHONPATH=/opt/server/code:/opt/server/third_party \
    HF_HUB_OFFLINE=1 \
    TRANSFORMERS_OFFLINE=1 \
    HOME=/tmp \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
USER 65532:65532
EXPOSE 8000
CMD ["python3", "/opt/server/server.py"]
