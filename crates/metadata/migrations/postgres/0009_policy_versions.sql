-- Finds a policy's unfinished jobs at once, however many have ended: a change of the policy ends them.
CREATE INDEX jobs_unfinished_by_policy ON jobs (policy) WHERE policy IS NOT NULL AND finished_at IS NULL;
