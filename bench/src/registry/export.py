"""Writes a shared corpus to files: one per blob, named by digest, and plan.json with the order of the pushes.

  export.py SHARED_CORPUS_FOLDER NAME SCALE TARGET
"""
import json
import pathlib
import sys

sys.path.insert(0, sys.argv[1])
from corpus import build  # noqa: E402

name, scale, target = sys.argv[2], float(sys.argv[3]), pathlib.Path(sys.argv[4])
corpus = build(name, 1, scale, 2)
target.mkdir(parents=True, exist_ok=True)


def write(blob):
    path = target / blob.digest
    if not path.exists() or path.stat().st_size != blob.size:
        with open(path, "wb") as file:
            file.writelines(blob.pieces())


plan = []
for manifest in sorted(corpus.manifests, key=lambda manifest: manifest.depth):
    for blob in [manifest.content, *manifest.blobs]:
        write(blob)
    plan.append({
        "repository": manifest.repo,
        "mediaType": manifest.content.media_type,
        "digest": manifest.content.digest,
        "references": list(manifest.tags) or [manifest.content.digest],
        "blobs": [{"digest": blob.digest, "size": blob.size} for blob in manifest.blobs],
    })
(target / "plan.json").write_text(json.dumps(plan))
