FROM ghcr.io/ggml-org/llama.cpp:server-b9994@sha256:823b6f019cafbee8878dfdd0d4750eae4f81dfafb60dc1fbefb66794a59903c8
COPY serve.sh /usr/local/bin/serve-model
ENV MODEL_PATH=/models/minilm \
    MODEL_FILE='a b.gguf'
EXPOSE 8080
ENTRYPOINT ["/bin/sh", "/usr/local/bin/serve-model"]
CMD ["--alias", "minilm", \
     "--host", "0.0.0.0", \
     "--port", "8080", \
     "--ctx-size", "0", \
     "--n-gpu-layers", "0", \
     "--jinja", \
     "--parallel", "1"]
