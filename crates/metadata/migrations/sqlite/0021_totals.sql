-- What would take longer to sum up the more there is. Triggers keep it, in the very transaction that gives or takes a
-- row, so that no statement can forget it; a scrub compares it with what is there.

-- How many tags a repository has, digest tags left out.
CREATE TABLE tag_totals (
    repository TEXT PRIMARY KEY REFERENCES repositories (id) ON DELETE CASCADE,
    tags BIGINT NOT NULL
);
INSERT INTO tag_totals (repository, tags)
SELECT repository, COUNT(*) FROM tags WHERE NOT digest_tag GROUP BY repository;
CREATE TRIGGER tags_counted AFTER INSERT ON tags WHEN NOT NEW.digest_tag
BEGIN
    INSERT INTO tag_totals (repository, tags) VALUES (NEW.repository, 1)
    ON CONFLICT (repository) DO UPDATE SET tags = tags + 1;
END;
CREATE TRIGGER tags_discounted AFTER DELETE ON tags WHEN NOT OLD.digest_tag
BEGIN
    UPDATE tag_totals SET tags = tags - 1 WHERE repository = OLD.repository;
END;

-- How many bytes the blobs of a repository have.
CREATE TABLE blob_totals (
    repository TEXT PRIMARY KEY REFERENCES repositories (id) ON DELETE CASCADE,
    bytes BIGINT NOT NULL
);
INSERT INTO blob_totals (repository, bytes)
SELECT repository, SUM(size) FROM repository_blobs GROUP BY repository;
CREATE TRIGGER blobs_counted AFTER INSERT ON repository_blobs
BEGIN
    INSERT INTO blob_totals (repository, bytes) VALUES (NEW.repository, NEW.size)
    ON CONFLICT (repository) DO UPDATE SET bytes = bytes + excluded.bytes;
END;
CREATE TRIGGER blobs_discounted AFTER DELETE ON repository_blobs
BEGIN
    UPDATE blob_totals SET bytes = bytes - OLD.size WHERE repository = OLD.repository;
END;

-- How many bytes all blobs of the server have: one row.
CREATE TABLE store_total (bytes BIGINT NOT NULL);
INSERT INTO store_total (bytes) SELECT COALESCE(SUM(size), 0) FROM blobs;
CREATE TRIGGER stored_blobs_counted AFTER INSERT ON blobs
BEGIN
    UPDATE store_total SET bytes = bytes + NEW.size;
END;
CREATE TRIGGER stored_blobs_discounted AFTER DELETE ON blobs
BEGIN
    UPDATE store_total SET bytes = bytes - OLD.size;
END;

-- What only deleted repositories of a namespace hold is found from these.
CREATE INDEX repositories_deleted_by_namespace ON repositories (namespace) WHERE deleted_at IS NOT NULL;
