-- A repository that a push made is forgotten when that push comes to nothing.
ALTER TABLE repositories ADD COLUMN by_push BOOLEAN NOT NULL DEFAULT FALSE;

-- Asked for at every push, in the order of their identifiers.
DROP INDEX policies_by_repository;
CREATE INDEX policies_by_repository ON policies (repository, kind, id);
