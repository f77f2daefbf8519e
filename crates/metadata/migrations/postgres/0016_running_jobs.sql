-- Every read of a policy asks for the job of it that runs; it shall not look through all that it ever had.
CREATE INDEX jobs_running_by_policy ON jobs (policy, id) WHERE status = 'running' AND policy IS NOT NULL;
