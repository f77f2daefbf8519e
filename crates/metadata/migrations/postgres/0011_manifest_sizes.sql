-- What manifests weigh in namespaces is summed up from an index alone, as blobs are.
ALTER TABLE repository_manifests ADD COLUMN namespace TEXT NOT NULL DEFAULT '';
ALTER TABLE repository_manifests ADD COLUMN size BIGINT NOT NULL DEFAULT 0;
UPDATE repository_manifests SET
    namespace = (SELECT r.namespace FROM repositories r WHERE r.id = repository_manifests.repository),
    size = (SELECT m.size FROM manifests m WHERE m.digest = repository_manifests.digest);
CREATE INDEX repository_manifests_by_namespace ON repository_manifests (namespace, digest, size);

-- How many uploads to a repository are not finished.
CREATE INDEX uploads_by_repository ON uploads (repository);
