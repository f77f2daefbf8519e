-- What would take longer to sum up the more there is. Triggers keep it, in the very transaction that gives or takes a
-- row, so that no statement can forget it; a scrub compares it with what is there.
-- Nobody gives or takes one between the first count and the triggers. The order is that of servers at work, which
-- change a repository before what is in it; no stronger lock is taken later, for which they and this could wait for each
-- other.
LOCK TABLE repositories, blobs, repository_blobs, tags IN SHARE ROW EXCLUSIVE MODE;

-- How many tags a repository has, digest tags left out. Tags change under the lock of their revisions, so nobody else
-- waits for a row of these.
CREATE TABLE tag_totals (
    repository TEXT PRIMARY KEY REFERENCES repositories (id) ON DELETE CASCADE,
    tags BIGINT NOT NULL
);
INSERT INTO tag_totals (repository, tags)
SELECT repository, COUNT(*) FROM tags WHERE NOT digest_tag GROUP BY repository;
CREATE FUNCTION count_tag() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        UPDATE tag_totals SET tags = tags - 1 WHERE repository = OLD.repository;
    ELSE
        INSERT INTO tag_totals AS t (repository, tags) VALUES (NEW.repository, 1)
        ON CONFLICT (repository) DO UPDATE SET tags = t.tags + 1;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER tags_counted AFTER INSERT ON tags
FOR EACH ROW WHEN (NOT NEW.digest_tag) EXECUTE FUNCTION count_tag();
CREATE TRIGGER tags_discounted AFTER DELETE ON tags
FOR EACH ROW WHEN (NOT OLD.digest_tag) EXECUTE FUNCTION count_tag();

-- How many bytes the blobs of a repository have. Its row changes behind that of its namespace, which count_held locks
-- first: who waits for the one has waited for the other, so that no two can wait for each other.
CREATE TABLE blob_totals (
    repository TEXT PRIMARY KEY REFERENCES repositories (id) ON DELETE CASCADE,
    bytes BIGINT NOT NULL
);
INSERT INTO blob_totals (repository, bytes)
SELECT repository, CAST(SUM(size) AS BIGINT) FROM repository_blobs GROUP BY repository;
CREATE OR REPLACE FUNCTION count_held() RETURNS TRIGGER LANGUAGE plpgsql AS $$
DECLARE
    held RECORD;
    elsewhere BOOLEAN;
BEGIN
    IF TG_OP = 'DELETE' THEN held := OLD; ELSE held := NEW; END IF;
    INSERT INTO namespace_storage (namespace, bytes) VALUES (held.namespace, 0) ON CONFLICT DO NOTHING;
    PERFORM 1 FROM namespace_storage WHERE namespace = held.namespace FOR UPDATE;
    IF TG_TABLE_NAME = 'repository_blobs' THEN
        IF TG_OP = 'DELETE' THEN
            UPDATE blob_totals SET bytes = bytes - held.size WHERE repository = held.repository;
        ELSE
            INSERT INTO blob_totals AS t (repository, bytes) VALUES (held.repository, held.size)
            ON CONFLICT (repository) DO UPDATE SET bytes = t.bytes + excluded.bytes;
        END IF;
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

-- How many bytes all blobs of the server have: one row. It changes when a transaction ends, so it is held for no longer
-- than the commit takes; blobs that are new to the server are committed one after another.
CREATE TABLE store_total (bytes BIGINT NOT NULL);
INSERT INTO store_total (bytes) SELECT CAST(COALESCE(SUM(size), 0) AS BIGINT) FROM blobs;
CREATE FUNCTION count_stored() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        UPDATE store_total SET bytes = bytes - OLD.size;
    ELSE
        UPDATE store_total SET bytes = bytes + NEW.size;
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER stored_blobs_counted AFTER INSERT OR DELETE ON blobs
DEFERRABLE INITIALLY DEFERRED
FOR EACH ROW EXECUTE FUNCTION count_stored();

-- What only deleted repositories of a namespace hold is found from these.
CREATE INDEX repositories_deleted_by_namespace ON repositories (namespace) WHERE deleted_at IS NOT NULL;
