-- Who decided where a remote is: what that user may reach at present decides which addresses it may have. Of
-- remotes that are there already it is their owner; the system's were saved by administrators.
ALTER TABLE remotes ADD COLUMN author TEXT;
UPDATE remotes SET author = owner;
