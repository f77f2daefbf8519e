-- Whether a mirror moves non-distributable layers too.
ALTER TABLE policies ADD COLUMN foreign_layers BOOLEAN NOT NULL DEFAULT FALSE;
-- Layers that need not be stored are few; a poll that looks for those of a repository reads no others.
CREATE INDEX manifest_edges_of_absent_layers ON manifest_edges (parent) WHERE role = 'layer' AND absent IS NOT NULL;
