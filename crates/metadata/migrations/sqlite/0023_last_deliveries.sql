-- The last delivery of a tag's revision by a policy is found at once, however many there were.
DROP INDEX deliveries_by_source;
CREATE INDEX deliveries_by_source ON deliveries (source_repository, source_tag, source_revision, policy, at, id);
