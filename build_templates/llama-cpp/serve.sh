#!/bin/sh
# Start llama.cpp's server with MODEL_FILE below MODEL_PATH, or with the first GGUF file there: of a
# model in several parts the first part, which names the others.
set -eu

file="$MODEL_PATH/$MODEL_FILE"
if [ -z "$MODEL_FILE" ]; then
  file=$(find "$MODEL_PATH" -name '*.gguf' | sort | head -n 1)
fi
if [ ! -f "$file" ]; then
  echo "there is no GGUF file ${MODEL_FILE:+$MODEL_FILE }below $MODEL_PATH" >&2
  exit 1
fi
exec /app/llama-server --model "$file" "$@"
