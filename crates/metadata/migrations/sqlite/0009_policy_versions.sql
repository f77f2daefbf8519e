-- The version that a policy had when it put the job into the queue: a change of the policy ends what is older.
ALTER TABLE jobs ADD COLUMN policy_version BIGINT;
UPDATE jobs SET policy_version = (SELECT p.version FROM policies p WHERE p.id = jobs.policy)
WHERE policy IS NOT NULL AND finished_at IS NULL;
-- Finds a policy's unfinished jobs at once, however many have ended.
CREATE INDEX jobs_unfinished_by_policy ON jobs (policy) WHERE policy IS NOT NULL AND finished_at IS NULL;
