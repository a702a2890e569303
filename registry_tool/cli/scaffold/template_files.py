"""The files of a new build template, ready to render and full of comments."""

from __future__ import annotations

_NATIVE = """\
# yaml-language-server: $schema=../../schemas/buildtemplate.json
# How images are made from a release's files, assembled without a container engine.
apiVersion: registry-tool/v1
kind: BuildTemplate
metadata:
  name: @NAME@
spec:
  description: The files of a release, and nothing else
  # Parameters that releases may set: a JSON Schema with defaults, read below as {{ params.… }}.
  params:
    properties:
      log_level:
        type: string
        enum: [debug, info, warning]
        default: info
  # The directory in the image that receives the files; {{ version }} and {{ quantization }} exist, too.
  target: /models/{{ model }}
  image:
    # scratch, or an image in the store pinned by digest: registry.example.com/base@sha256:…
    base: scratch
    # Files beside this one that are added; one that ends in .j2 is rendered first.
    copy:
      - from: model-card.md.j2
        to: /usr/share/doc/
    env:
      LOG_LEVEL: "{{ params.log_level }}"
      MODEL_PATH: "{{ target }}"
"""

_MODEL_CARD = """\
# {{ model }} {{ version }} ({{ quantization }})

The files are in {{ target }}.
"""

_DOCKERFILE_TEMPLATE = """\
# yaml-language-server: $schema=../../schemas/buildtemplate.json
# How images are made from a release's files, built by a container engine from Dockerfile.j2.
apiVersion: registry-tool/v1
kind: BuildTemplate
metadata:
  name: @NAME@
spec:
  description: Built from a Dockerfile
  # Parameters that releases may set: a JSON Schema with defaults, read as {{ params.… }}.
  params:
    properties:
      log_level:
        type: string
        enum: [debug, info, warning]
        default: info
  # The directory in the image that receives the files, as layers of their own on top.
  target: /models/{{ model }}
  dockerfile:
    file: Dockerfile.j2
    # Every base is pinned by digest; the Dockerfile says FROM {{ bases.python }}. A digest is shown by
    # docker buildx imagetools inspect docker.io/library/python:3.13-slim
    # bases:
    #   - name: python
    #     reference: docker.io/library/python:3.13-slim
    #     digest: sha256:…
    # Files beside this one that go into the build context.
    files:
      - serve.sh
"""

_DOCKERFILE = """\
{# With a base declared in template.yaml this line is: FROM {{ bases.python }} #}
FROM scratch
COPY --chmod=0755 serve.sh /usr/local/bin/serve.sh
ENV LOG_LEVEL={{ params.log_level | quote }} \\
    MODEL_PATH={{ target | quote }}
ENTRYPOINT ["/usr/local/bin/serve.sh"]
"""

_SERVE = """\
#!/bin/sh
# Replace this by what serves the model: its files are in $MODEL_PATH.
set -eu
exec ls -l "$MODEL_PATH"
"""


def native_template(name: str) -> dict[str, str]:
    """The files of a template that is assembled natively, by path beside template.yaml."""
    return {"template.yaml": _NATIVE.replace("@NAME@", name), "model-card.md.j2": _MODEL_CARD}


def dockerfile_template(name: str) -> dict[str, str]:
    """The files of a template that an engine builds, by path beside template.yaml."""
    return {
        "template.yaml": _DOCKERFILE_TEMPLATE.replace("@NAME@", name),
        "Dockerfile.j2": _DOCKERFILE,
        "serve.sh": _SERVE,
    }
