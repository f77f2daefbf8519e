-- When a repository got a blob: what has only just come may be about to be named by a manifest.
ALTER TABLE repository_blobs ADD COLUMN linked_at BIGINT NOT NULL DEFAULT 0;
UPDATE repository_blobs SET linked_at = CAST(EXTRACT(EPOCH FROM now()) AS BIGINT) * 1000000;

-- Bytes that no row names any more and that the store still holds, until they are removed there too.
CREATE TABLE condemned_blobs (location TEXT COLLATE "C" PRIMARY KEY, size BIGINT NOT NULL);
CREATE INDEX blobs_by_location ON blobs (location);
