"""A registry in which every field of every kind is set, to values that are found nowhere else."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from registries import RegistryFolder

OID = "c" * 40
SHA = {name: (name * 64)[:64] for name in "0123456789abcdef"}
KEY = "ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEVVKY5ilVgLD0GHZS7mS81tQJBl5d2ylPWO79n3Zw8c"
HEAD = {"apiVersion": "registry-tool/v1"}
MARKS = {"labels": {"team": "label-{}"}, "annotations": {"note": "annotation of {}"}}


def marks(kind: str, **more: Any) -> dict[str, Any]:
    texts = {
        part: {key: text.format(kind) for key, text in values.items()}
        for part, values in MARKS.items()
    }
    return {**more, **texts}


def manifests(storage: Path) -> dict[str, dict[str, Any]]:
    """By path."""
    return {
        "manifests/registry.yaml": {
            **HEAD,
            "kind": "Registry",
            "metadata": marks("registry", name="everything"),
            "spec": {
                "images": {"insecure": True, "served_at": "pull.example.org:8443", "keep": 17},
                "builds": {"timeout": "2h7m", "builder": "auto"},
                "storage": {"allowed": [str(storage), "s3://bucket-of-models/prefix"]},
                "web": {
                    "title": "Title of everything",
                    "edit_url": "https://forge.example.org/edit/{path}",
                    "require_api_key": False,
                    "cors_origins": ["https://origin.example.org"],
                },
                "notifications": [
                    {"secret": "chat-url", "events": ["build_failed", "rolled_back"]}
                ],
                "policy": {
                    "licenses": ["License-of-Model"],
                    "required_labels": ["team"],
                    "base_images": ["bases.example.org/allowed"],
                },
                "trust": {
                    "commits": [],
                    "records": [],
                },
            },
        },
        "manifests/models/everything.yaml": {
            **HEAD,
            "kind": "Model",
            "metadata": marks("model", name="everything"),
            "spec": {
                "storage_path": f"{storage}/everything",
                "description": "Description of the model",
                "company": "Company of the model",
                "base_model": "Base of the model",
                "parameter_count": 7_123_456_789,
                "license": "License-of-Model",
                "tags": ["tag one", "tag-two"],
                "metadata": {"paper": {"year": 2031, "open": True}, "scores": [0.25, "good"]},
            },
        },
        "manifests/releases/everything/3.1.4/Q4_K_M.yaml": {
            **HEAD,
            "kind": "Release",
            "metadata": marks("release"),
            "spec": {
                "model": "everything",
                "version": "3.1.4",
                "quantization": "Q4_K_M",
                "stage": "deprecated",
                "release_notes": "Notes with a [link](https://notes.example.org/).\n",
                "template": {
                    "name": "full-template",
                    "params": {"greeting": "Parameter of the release"},
                },
                "storage_path": f"{storage}/everything/of-release",
                "artifacts": {"include": ["included/**"], "exclude": ["*.excluded"]},
                "platforms": ["linux/amd64", "linux/arm64/v8"],
                "auto_build": False,
                "yanked": {"reason": "Reason of the yank"},
                "metadata": {"ticket": "TICKET-4711"},
            },
        },
        "manifests/releases/everything/3.1.4/Q4_K_M.lock.yaml": {
            **HEAD,
            "kind": "ArtifactLock",
            "metadata": marks("lock"),
            "spec": {
                "model": "everything",
                "version": "3.1.4",
                "quantization": "Q4_K_M",
                "target": "/target/of/lock",
                "set_digest": "b5d6c0ecd3a8a6d5ba1c9b1a1d4ce1cb9b3e7a3c8d4d4e1f1e5f0d1c2b3a4958",
                "files": [
                    {
                        "path": "included/weights.bin",
                        "role": "weights",
                        "size": 123_457,
                        "sha256": SHA["1"],
                        "media_type": "application/x-weights",
                        "etag": "etag-of-file",
                        "version_id": "version-id-of-file",
                    }
                ],
                "layers": [
                    {
                        "digest": f"sha256:{SHA['2']}",
                        "size": 125_441,
                        "files": ["included/weights.bin"],
                    }
                ],
            },
        },
        "manifests/environments/everywhere.yaml": {
            **HEAD,
            "kind": "Environment",
            "metadata": marks("environment", name="everywhere"),
            "spec": {
                "target": {
                    "type": "docker",
                    "host": "host-of-target",
                    "namespace": "namespace-of-target",
                    "network": "network-of-target",
                },
                "accepts": ["released", "deprecated"],
                "promote_from": "elsewhere",
                "soak": "3d5h",
                "freeze": [
                    {
                        "schedule": "5 4 * * sun",
                        "duration": "6h30m",
                        "timezone": "Asia/Kathmandu",
                        "reason": "Reason of the freeze",
                    }
                ],
                "approvals": {"count": 2, "from": ["approver@example.org", "second@example.org"]},
                "allow_host_paths": True,
                "allow_empty": True,
            },
        },
        "manifests/environments/elsewhere.yaml": {
            **HEAD,
            "kind": "Environment",
            "metadata": marks("environment", name="elsewhere"),
            "spec": {},
        },
        "manifests/deployments/everywhere/tracking.yaml": {
            **HEAD,
            "kind": "Deployment",
            "metadata": marks("tracking", name="tracking"),
            "spec": {
                "environment": "everywhere",
                "model": "everything",
                "quantization": "Q4_K_M",
                "track": {"version": "^3.1", "stage": "deprecated"},
            },
        },
        "manifests/deployments/everywhere/service.yaml": {
            **HEAD,
            "kind": "Deployment",
            "metadata": marks("deployment", name="service"),
            "spec": {
                "environment": "everywhere",
                "model": "everything",
                "version": "3.1.4",
                "quantization": "Q4_K_M",
                "replicas": 1,
                "command": ["--argument", "of the command"],
                "ports": [{"container": 8123, "host": 9123, "protocol": "udp"}],
                "env": {"VARIABLE": "Value of the variable"},
                "secrets": ["name-of-secret"],
                "weights": "mounted",
                "volumes": [
                    {"source": "/host/path", "target": "/container/path", "read_only": True}
                ],
                "resources": {"cpus": 1.75, "memory": "1536Mi", "gpus": 3},
                "healthcheck": {
                    "http": "/path-of-check",
                    "port": 8123,
                    "interval": "11s",
                    "timeout": "12s",
                    "retries": 13,
                    "start_period": "14s",
                },
                "strategy": {"type": "recreate", "auto_rollback": False},
                "suspend": True,
            },
        },
        "manifests/api-keys/everybody.yaml": {
            **HEAD,
            "kind": "ApiKey",
            "metadata": marks("key", name="everybody"),
            "spec": {
                "owner": "Owner of the key",
                "key_id": "KeyId4711",
                "sha256": SHA["9"],
                "expires_at": "2031-02-03T04:05:06Z",
                "revoked": True,
            },
        },
        "build_templates/full-template/template.yaml": {
            **HEAD,
            "kind": "BuildTemplate",
            "metadata": marks("template", name="full-template"),
            "spec": {
                "description": "Description of the template",
                "params": {
                    "type": "object",
                    "properties": {"greeting": {"type": "string", "default": "Default greeting"}},
                },
                "platforms": ["linux/amd64", "linux/arm64/v8"],
                "target": "/target/of/template",
                "probe": ["/bin/probe", "{{ port }}", "{{ path }}"],
                "image": {
                    "base": "scratch",
                    "copy": [{"from": "motd.j2", "to": "/copied/to", "mode": "0755"}],
                    "env": {"IMAGE_VARIABLE": "Value in the image"},
                    "labels": {"org.example.label": "Label of the image"},
                    "workdir": "/srv/app",
                    "user": "user-of-image",
                    "expose": ["8124/tcp"],
                    "entrypoint": ["/bin/entrypoint"],
                    "cmd": ["argument-of-cmd"],
                },
            },
        },
        "build_templates/docker-template/template.yaml": {
            **HEAD,
            "kind": "BuildTemplate",
            "metadata": marks("dockerfile", name="docker-template"),
            "spec": {
                "dockerfile": {
                    "file": "Own.Dockerfile.j2",
                    "bases": [
                        {
                            "name": "runtime",
                            "reference": "bases.example.org/allowed/python:3.12",
                            "digest": f"sha256:{SHA['8']}",
                        }
                    ],
                    "files": ["Own.Dockerfile.j2", "serve/**"],
                },
            },
        },
    }


TIMES = {"started_at": "2030-01-02T03:04:05Z", "finished_at": "2030-01-02T03:06:07Z"}
RELEASE = {"model": "everything", "version": "3.1.4", "quantization": "Q4_K_M"}
RECORDS: dict[str, dict[str, Any]] = {
    f"builds/everything/3.1.4/Q4_K_M/000001-{SHA['a'][:12]}.yaml": {
        **HEAD,
        "kind": "Build",
        "metadata": marks("build"),
        "spec": {
            **RELEASE,
            "key": SHA["a"],
            "key_parts": {"template": SHA["b"], "lock": SHA["c"]},
            "revision": f"main@sha1:{OID}",
            "store": "embedded",
            "images": [
                {
                    "role": "complete",
                    "reference": "everything:3.1.4_Q4_K_M",
                    "digest": f"sha256:{SHA['d']}",
                    "size": 234_561,
                }
            ],
            "layers": [
                {
                    "digest": f"sha256:{SHA['e']}",
                    "size": 345_671,
                    "source": "template",
                    "uploaded": True,
                }
            ],
            "bytes": {"upload": 456_781, "reuse": 567_891},
            "builder": "builder-of-build",
            "adopted": True,
            "timings": TIMES,
            "result": "failed",
            "error": "Error of the build",
            "log": "everything:log-aaaaaaaaaaaa-000001",
        },
    },
    f"deployments/everywhere/service/000001-{SHA['f'][:12]}.yaml": {
        **HEAD,
        "kind": "DeploymentRecord",
        "metadata": marks("record"),
        "spec": {
            "environment": "everywhere",
            "name": "service",
            "key": SHA["f"],
            "key_parts": {"spec": SHA["0"]},
            "build_key": SHA["a"],
            "revision": f"main@sha1:{OID}",
            "release": RELEASE,
            "target": {
                "type": "docker",
                "host": "recorded-host",
                "namespace": "recorded-namespace",
                "network": "recorded-network",
            },
            "weights": "mounted",
            "image": f"pull.example.org:8443/everything@sha256:{SHA['3']}",
            "digest": f"sha256:{SHA['3']}",
            "previous_digest": f"sha256:{SHA['4']}",
            "result": "rolled_back",
            "health": "unhealthy",
            "timings": TIMES,
            "who": {
                "commit": "d" * 40,
                "author": {"name": "Author of change", "email": "author@example.org"},
                "committer": {"name": "Committer of change", "email": "committer@example.org"},
                "authored_at": "2030-01-01T01:02:03Z",
                "approved_by": ["Approver of change <approver@example.org>"],
                "signer": "signer@example.org",
            },
            "error": "Error of the deployment",
        },
    },
    f"requests/000001-{SHA['a'][:12]}.yaml": {
        **HEAD,
        "kind": "Request",
        "metadata": marks("request"),
        "spec": {
            "action": "retry",
            "subject": "release/everything/3.1.4/Q4_K_M",
            "key": SHA["a"],
            "after": 1,
            "requested_by": {"name": "Requester", "email": "requester@example.org"},
            "requested_at": "2030-03-04T05:06:07Z",
        },
    },
}


def write_everything(folder: RegistryFolder) -> None:
    """Commit all of it, records on their branch."""
    for path, manifest in manifests(folder.storage).items():
        folder.write(path, yaml.safe_dump(manifest, sort_keys=False))
    folder.write("build_templates/full-template/motd.j2", "{{ params.greeting }}\n")
    folder.write("build_templates/docker-template/Own.Dockerfile.j2", "FROM {{ bases.runtime }}\n")
    folder.write("build_templates/docker-template/serve/main.py", "print('hello')\n")
    folder.commit("Add everything")
    commit_records(folder, {path: yaml.safe_dump(record) for path, record in RECORDS.items()})


def commit_records(folder: RegistryFolder, files: dict[str, str]) -> None:
    """Make these the files of the records branch."""
    stream = (
        "commit refs/heads/registry-records\ncommitter Recorder <r@example.org> 1893553567 +0000\n"
    )
    stream += "data 7\nRecord\n\ndeleteall\n"
    for path, text in files.items():
        stream += f"M 100644 inline {path}\ndata {len(text.encode())}\n{text}\n"
    command = ["git", "-C", str(folder.path), "fast-import", "--quiet", "--force"]
    subprocess.run(command, input=stream.encode(), check=True)


def leaves(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Every value with the name of the field that holds it."""
    if isinstance(value, dict):
        for key, entry in value.items():
            yield from leaves(entry, key)
    elif isinstance(value, list):
        for entry in value:
            yield from leaves(entry, name)
    else:
        yield name, value
