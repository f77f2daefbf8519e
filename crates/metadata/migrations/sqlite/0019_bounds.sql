-- What an unfinished job is about: the manifest, and what that one refers to. Content that a job needs is found by these.
ALTER TABLE jobs ADD COLUMN manifest TEXT;
ALTER TABLE jobs ADD COLUMN subject TEXT;
UPDATE jobs SET
    manifest = COALESCE(json_extract(parameters, '$.digest'), json_extract(parameters, '$.referrer')),
    subject = json_extract(parameters, '$.subject')
WHERE finished_at IS NULL AND json_valid(parameters);
CREATE INDEX jobs_unfinished_by_manifest ON jobs (repository, manifest) WHERE manifest IS NOT NULL AND finished_at IS NULL;
CREATE INDEX jobs_unfinished_by_subject ON jobs (repository, subject) WHERE subject IS NOT NULL AND finished_at IS NULL;
-- Whether a tag that led to a manifest can still be brought back.
CREATE INDEX tag_changes_by_digest ON tag_changes (repository, digest) WHERE digest IS NOT NULL;

-- A deleted repository that is being removed for good, some rows at a time: nobody can bring it back.
ALTER TABLE repositories ADD COLUMN purged BOOLEAN NOT NULL DEFAULT FALSE;

-- Old verdicts are pruned in the order of what they are about.
CREATE INDEX verdicts_by_revision ON verdicts (revision);

-- How many bytes a namespace holds: each of its blobs and manifests once. Triggers keep it, in the very transaction
-- that gives or takes a row, so that no statement can forget it.
CREATE TABLE namespace_storage (namespace TEXT PRIMARY KEY, bytes BIGINT NOT NULL);
INSERT INTO namespace_storage (namespace, bytes)
SELECT namespace, CAST(SUM(size) AS BIGINT) FROM (
    SELECT DISTINCT namespace, digest, size FROM repository_blobs
    UNION ALL
    SELECT DISTINCT namespace, digest, size FROM repository_manifests) held
GROUP BY namespace;
CREATE TRIGGER blobs_held AFTER INSERT ON repository_blobs
WHEN NOT EXISTS (SELECT 1 FROM repository_blobs o
                 WHERE o.namespace = NEW.namespace AND o.digest = NEW.digest AND o.repository <> NEW.repository)
BEGIN
    INSERT INTO namespace_storage (namespace, bytes) VALUES (NEW.namespace, NEW.size)
    ON CONFLICT (namespace) DO UPDATE SET bytes = bytes + excluded.bytes;
END;
CREATE TRIGGER blobs_given_up AFTER DELETE ON repository_blobs
WHEN NOT EXISTS (SELECT 1 FROM repository_blobs o
                 WHERE o.namespace = OLD.namespace AND o.digest = OLD.digest AND o.repository <> OLD.repository)
BEGIN
    UPDATE namespace_storage SET bytes = bytes - OLD.size WHERE namespace = OLD.namespace;
END;
CREATE TRIGGER manifests_held AFTER INSERT ON repository_manifests
WHEN NOT EXISTS (SELECT 1 FROM repository_manifests o
                 WHERE o.namespace = NEW.namespace AND o.digest = NEW.digest AND o.repository <> NEW.repository)
BEGIN
    INSERT INTO namespace_storage (namespace, bytes) VALUES (NEW.namespace, NEW.size)
    ON CONFLICT (namespace) DO UPDATE SET bytes = bytes + excluded.bytes;
END;
CREATE TRIGGER manifests_given_up AFTER DELETE ON repository_manifests
WHEN NOT EXISTS (SELECT 1 FROM repository_manifests o
                 WHERE o.namespace = OLD.namespace AND o.digest = OLD.digest AND o.repository <> OLD.repository)
BEGIN
    UPDATE namespace_storage SET bytes = bytes - OLD.size WHERE namespace = OLD.namespace;
END;
