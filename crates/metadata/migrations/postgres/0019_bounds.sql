-- What an unfinished job is about: the manifest, and what that one refers to. Content that a job needs is found by these.
ALTER TABLE jobs ADD COLUMN manifest TEXT COLLATE "C";
ALTER TABLE jobs ADD COLUMN subject TEXT COLLATE "C";
UPDATE jobs SET
    manifest = COALESCE(parameters::json ->> 'digest', parameters::json ->> 'referrer'),
    subject = parameters::json ->> 'subject'
WHERE finished_at IS NULL;
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
CREATE TABLE namespace_storage (namespace TEXT COLLATE "C" PRIMARY KEY, bytes BIGINT NOT NULL);
INSERT INTO namespace_storage (namespace, bytes)
SELECT namespace, CAST(SUM(size) AS BIGINT) FROM (
    SELECT DISTINCT namespace, digest, size FROM repository_blobs
    UNION ALL
    SELECT DISTINCT namespace, digest, size FROM repository_manifests) held
GROUP BY namespace;
-- No statement but those that copy whole tables gives or takes one digest in several repositories: a trigger runs when
-- its statement has ended, and could not tell the first from the last. Who copies tables counts anew.
-- Whoever changes what a namespace holds locks its row first, so that of two who give it the same blob one counts it.
CREATE FUNCTION count_held() RETURNS TRIGGER LANGUAGE plpgsql AS $$
DECLARE
    held RECORD;
    elsewhere BOOLEAN;
BEGIN
    IF TG_OP = 'DELETE' THEN held := OLD; ELSE held := NEW; END IF;
    INSERT INTO namespace_storage (namespace, bytes) VALUES (held.namespace, 0) ON CONFLICT DO NOTHING;
    PERFORM 1 FROM namespace_storage WHERE namespace = held.namespace FOR UPDATE;
    IF TG_TABLE_NAME = 'repository_blobs' THEN
        elsewhere := EXISTS (SELECT 1 FROM repository_blobs o WHERE o.namespace = held.namespace
                             AND o.digest = held.digest AND o.repository <> held.repository);
    ELSE
        elsewhere := EXISTS (SELECT 1 FROM repository_manifests o WHERE o.namespace = held.namespace
                             AND o.digest = held.digest AND o.repository <> held.repository);
    END IF;
    IF NOT elsewhere THEN
        UPDATE namespace_storage SET bytes = bytes + CASE TG_OP WHEN 'DELETE' THEN -held.size ELSE held.size END
        WHERE namespace = held.namespace;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER blobs_held AFTER INSERT OR DELETE ON repository_blobs
FOR EACH ROW EXECUTE FUNCTION count_held();
CREATE TRIGGER manifests_held AFTER INSERT OR DELETE ON repository_manifests
FOR EACH ROW EXECUTE FUNCTION count_held();
