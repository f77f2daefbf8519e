-- What stands still: `system`, `namespace/<name>` or `remote/<id>`; the narrower sorts first.
CREATE TABLE pauses (
    scope TEXT COLLATE "C" PRIMARY KEY,
    at BIGINT NOT NULL,
    author TEXT NOT NULL,
    reason TEXT NOT NULL
);

-- The remote that a copy goes to or a poll asks, so that a pause of the remote finds it.
ALTER TABLE jobs ADD COLUMN remote TEXT;
UPDATE jobs SET remote = CASE action
    WHEN 'push_mirror_tag' THEN parameters::json ->> 'remote'
    ELSE (SELECT p.remote FROM policies p WHERE p.id = jobs.policy AND p.kind = 'pull_mirror')
END WHERE status IN ('waiting', 'running') AND action IN ('push_mirror_tag', 'poll_mirror');

-- The pause that a waiting job waits for. Who looks for work passes over any number of these at no cost.
ALTER TABLE jobs ADD COLUMN held_by TEXT COLLATE "C";
DROP INDEX jobs_waiting;
CREATE INDEX jobs_waiting ON jobs (action, scheduled_at, id) WHERE status = 'waiting' AND held_by IS NULL;
DROP INDEX jobs_by_serial_key;
CREATE INDEX jobs_by_serial_key ON jobs (serial_key, id)
    WHERE status = 'waiting' AND held_by IS NULL AND serial_key IS NOT NULL;
CREATE INDEX jobs_held ON jobs (held_by, id) WHERE status = 'waiting' AND held_by IS NOT NULL;

-- What is said at a tag about a copy that does not happen.
CREATE INDEX verdicts_running ON verdicts (job) WHERE result = 'running';
