-- Whether somebody has asked for a job again already, also where that has ended.
DROP INDEX jobs_open_retries;
CREATE INDEX jobs_retries ON jobs (retry_of) WHERE retry_of IS NOT NULL;
