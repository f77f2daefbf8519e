-- A search among tags looks through their names in the index. By itself, as 0023 is: a new index needs its table
-- alone, and a server at work that holds another one would wait for this, and this for it.
DROP INDEX tags_by_revision;
CREATE INDEX tags_by_revision ON tags (repository, revision, name, digest_tag) WHERE NOT digest_tag;
