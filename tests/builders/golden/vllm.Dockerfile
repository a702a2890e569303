FROM docker.io/vllm/vllm-openai:v0.11.0@sha256:014a95f21c9edf6abe0aea6b07353f96baa4ec291c427bb1176dc7c93a85845c
# The model is in the image: nothing is fetched when it starts, and nothing is told to anybody.
ENV HF_HUB_OFFLINE=1 \
    TRANSFORMERS_OFFLINE=1 \
    VLLM_NO_USAGE_STATS=1 \
    DO_NOT_TRACK=1
EXPOSE 8000
ENTRYPOINT ["python3", "-m", "vllm.entrypoints.openai.api_server"]
CMD ["--model", "/models/minilm", \
     "--served-model-name", "minilm", \
     "--port", "8000", \
     "--dtype", "auto", \
     "--quantization", "awq", \
     "--max-model-len", "4096", \
     "--tensor-parallel-size", "1", \
     "--enable-x", \
     "say \"hi\"", \
     "--gpu-memory-utilization", "0.9"]
