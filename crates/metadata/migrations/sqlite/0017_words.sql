-- Early versions wrote down that a policy runs, which nothing takes back when the run ends with the server.
UPDATE policies SET last_run_code = 'never', last_run_detail = '' WHERE last_run_code = 'running';

-- Whether somebody has asked for a job again already.
CREATE INDEX jobs_open_retries ON jobs (retry_of) WHERE retry_of IS NOT NULL AND finished_at IS NULL;
