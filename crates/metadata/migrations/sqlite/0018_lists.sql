-- The tag that was set last of those that point to a manifest is found at once, however many do.
DROP INDEX tags_by_digest;
CREATE INDEX tags_by_digest ON tags (repository, digest, revision);

-- Lists and counts leave digest tags out.
DROP INDEX tags_by_revision;
CREATE INDEX tags_by_revision ON tags (repository, revision) WHERE NOT digest_tag;
