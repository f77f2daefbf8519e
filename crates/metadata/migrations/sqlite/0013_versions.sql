-- Each change of a policy, a remote or a repository's settings has a number, and is remembered with who made it.
-- `rules_version` is what `version` was: it grows only when a policy acts otherwise than before.
ALTER TABLE policies ADD COLUMN rules_version BIGINT NOT NULL DEFAULT 1;
UPDATE policies SET rules_version = version;
ALTER TABLE policies ADD COLUMN last_change TEXT;
ALTER TABLE remotes ADD COLUMN version BIGINT NOT NULL DEFAULT 1;
ALTER TABLE remotes ADD COLUMN last_change TEXT;
ALTER TABLE repositories ADD COLUMN version BIGINT NOT NULL DEFAULT 1;
ALTER TABLE repositories ADD COLUMN last_change TEXT;

-- While a baseline is pending: the patterns whose tags were decided about before.
ALTER TABLE policies ADD COLUMN known_patterns TEXT;
-- A tag that was listed, but whose digest could not be read, has none until it is seen.
ALTER TABLE baselines RENAME TO baselines_before;
CREATE TABLE baselines (
    policy TEXT NOT NULL REFERENCES policies (id) ON DELETE CASCADE,
    tag TEXT NOT NULL,
    digest TEXT,
    PRIMARY KEY (policy, tag)
);
INSERT INTO baselines SELECT policy, tag, digest FROM baselines_before;
DROP TABLE baselines_before;
