-- Early versions wrote down that a policy runs, and why a job was canceled, in words that nothing writes any more.
UPDATE policies SET last_run_code = 'never', last_run_detail = '' WHERE last_run_code = 'running';
UPDATE jobs SET error = '{"about":"job","kind":"canceled"}' WHERE error LIKE '{"about":"policy","kind":"canceled"%';
UPDATE job_logs SET message = '{"about":"job","kind":"canceled"}'
 WHERE message LIKE '{"about":"policy","kind":"canceled"%';

-- Whether somebody has asked for a job again already.
CREATE INDEX jobs_open_retries ON jobs (retry_of) WHERE retry_of IS NOT NULL AND finished_at IS NULL;
