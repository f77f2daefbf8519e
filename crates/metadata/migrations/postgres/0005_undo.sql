-- Which policies a tag had passed when a change set it: what is brought back goes the same ways again.
ALTER TABLE tag_changes ADD COLUMN lineage TEXT NOT NULL DEFAULT '[]';
UPDATE tag_changes SET lineage = COALESCE(
    (SELECT t.lineage FROM tags t
     WHERE t.repository = tag_changes.repository AND t.revision = tag_changes.revision), '[]');
CREATE INDEX tag_deletions ON tag_changes (repository, at) WHERE digest IS NULL;

-- What was deleted by its digest is hidden at once, and goes when it cannot be brought back any more.
ALTER TABLE repository_manifests ADD COLUMN removed_at BIGINT;

-- Deleted repositories keep their tags and policies until they are purged.
ALTER TABLE repositories ADD COLUMN deleted_by TEXT;
CREATE INDEX repositories_deleted ON repositories (deleted_at) WHERE deleted_at IS NOT NULL;

-- Where `immutable_tags` is true: the tags it is about; NULL is all of them.
ALTER TABLE repositories ADD COLUMN immutable_patterns TEXT;

-- What blobs weigh in repositories and namespaces is summed up from an index alone.
ALTER TABLE repository_blobs ADD COLUMN namespace TEXT COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE repository_blobs ADD COLUMN size BIGINT NOT NULL DEFAULT 0;
UPDATE repository_blobs SET
    namespace = (SELECT r.namespace FROM repositories r WHERE r.id = repository_blobs.repository),
    size = (SELECT b.size FROM blobs b WHERE b.digest = repository_blobs.digest);
CREATE INDEX repository_blobs_by_namespace ON repository_blobs (namespace, digest, size);
CREATE INDEX repository_blobs_by_repository ON repository_blobs (repository, digest, size);
DROP INDEX repository_blobs_by_digest;
CREATE INDEX repository_blobs_by_digest ON repository_blobs (digest, repository, namespace);
-- Bytes that the blobs of a namespace may have; NULL: any number.
ALTER TABLE accounts ADD COLUMN quota BIGINT;
