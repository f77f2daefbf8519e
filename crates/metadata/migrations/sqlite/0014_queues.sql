-- How a remote fares that could not be asked: one row for each, shared by all servers. Work for it waits until
-- `until`; once it has answered again that is NULL, and the row only remembers how bad it was.
CREATE TABLE back_offs (
    remote TEXT PRIMARY KEY REFERENCES remotes (id) ON DELETE CASCADE,
    reason TEXT NOT NULL,
    asked BOOLEAN NOT NULL,
    failures BIGINT NOT NULL,
    since BIGINT NOT NULL,
    until BIGINT,
    changed_at BIGINT NOT NULL
);
CREATE INDEX back_offs_waiting ON back_offs (until) WHERE until IS NOT NULL;

-- Since when a job fails for reasons that may pass.
ALTER TABLE jobs ADD COLUMN failing_since BIGINT;

-- What waits for one remote on behalf of one namespace stands in one lane, so that whoever looks for work
-- finds the lanes at once, however many jobs wait in them.
ALTER TABLE jobs ADD COLUMN lane TEXT;
UPDATE jobs SET lane = remote || '/' || (SELECT r.namespace FROM repositories r WHERE r.id = jobs.repository)
WHERE finished_at IS NULL AND remote IS NOT NULL AND action IN ('push_mirror_tag', 'poll_mirror');
CREATE INDEX jobs_lanes ON jobs (action, lane, scheduled_at, id)
    WHERE status = 'waiting' AND held_by IS NULL AND lane IS NOT NULL;
CREATE INDEX jobs_running_by_remote ON jobs (remote) WHERE status = 'running' AND remote IS NOT NULL;

-- Which jobs a job waits for; one may be a part of several.
CREATE TABLE job_parts (
    whole TEXT NOT NULL,
    part TEXT NOT NULL,
    PRIMARY KEY (whole, part)
);
CREATE INDEX job_parts_by_part ON job_parts (part);
INSERT INTO job_parts (whole, part) SELECT parent, id FROM jobs WHERE parent IS NOT NULL;
