-- Times are microseconds since 1970. Ids are UUIDs as text. Names and tags sort by bytes.

CREATE TABLE sequences (name TEXT PRIMARY KEY, value BIGINT NOT NULL);
INSERT INTO sequences (name, value) VALUES ('revision', 0);

CREATE TABLE settings (key TEXT PRIMARY KEY, value TEXT NOT NULL);

CREATE TABLE accounts (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    is_org BOOLEAN NOT NULL,
    is_admin BOOLEAN NOT NULL,
    password_hash TEXT,
    created_at BIGINT NOT NULL
);

CREATE TABLE sessions (
    token_hash BLOB PRIMARY KEY,
    account TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    csrf TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX sessions_by_expiry ON sessions (expires_at);
CREATE INDEX sessions_by_account ON sessions (account);

CREATE TABLE repositories (
    id TEXT PRIMARY KEY,
    namespace TEXT NOT NULL,
    name TEXT NOT NULL UNIQUE,
    visibility TEXT NOT NULL,
    state TEXT NOT NULL,
    short_description TEXT NOT NULL,
    long_description TEXT NOT NULL,
    immutable_tags BOOLEAN NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    deleted_at BIGINT
);
CREATE INDEX repositories_by_namespace ON repositories (namespace, name);

CREATE TABLE blobs (
    digest TEXT PRIMARY KEY,
    size BIGINT NOT NULL,
    location TEXT NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE TABLE repository_blobs (
    repository TEXT NOT NULL REFERENCES repositories (id),
    digest TEXT NOT NULL REFERENCES blobs (digest),
    PRIMARY KEY (repository, digest)
);
CREATE INDEX repository_blobs_by_digest ON repository_blobs (digest);

CREATE TABLE uploads (
    id TEXT PRIMARY KEY,
    repository TEXT NOT NULL REFERENCES repositories (id),
    algorithm TEXT NOT NULL,
    received BIGINT NOT NULL,
    hash_state BLOB NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

CREATE TABLE manifests (
    digest TEXT PRIMARY KEY,
    media_type TEXT NOT NULL,
    artifact_type TEXT,
    subject TEXT,
    annotations TEXT NOT NULL,
    size BIGINT NOT NULL,
    bytes BLOB NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE INDEX manifests_by_subject ON manifests (subject) WHERE subject IS NOT NULL;
CREATE TABLE repository_manifests (
    repository TEXT NOT NULL REFERENCES repositories (id),
    digest TEXT NOT NULL REFERENCES manifests (digest),
    linked_at BIGINT NOT NULL,
    PRIMARY KEY (repository, digest)
);
CREATE INDEX repository_manifests_by_digest ON repository_manifests (digest);
-- What a manifest names: config, layer, child, subject. `absent` tells why a part need not be stored.
CREATE TABLE manifest_edges (
    parent TEXT NOT NULL REFERENCES manifests (digest),
    child TEXT NOT NULL,
    role TEXT NOT NULL,
    position BIGINT NOT NULL,
    media_type TEXT NOT NULL,
    size BIGINT NOT NULL,
    platform TEXT,
    absent TEXT,
    PRIMARY KEY (parent, role, position)
);
CREATE INDEX manifest_edges_by_child ON manifest_edges (child);

CREATE TABLE tags (
    repository TEXT NOT NULL REFERENCES repositories (id),
    name TEXT NOT NULL,
    digest TEXT NOT NULL,
    digest_tag BOOLEAN NOT NULL,
    revision BIGINT NOT NULL,
    source_revision BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    author TEXT NOT NULL,
    provenance TEXT NOT NULL,
    lineage TEXT NOT NULL,
    PRIMARY KEY (repository, name)
);
CREATE INDEX tags_by_digest ON tags (repository, digest);
CREATE INDEX tags_by_revision ON tags (repository, revision);
CREATE TABLE tag_changes (
    revision BIGINT PRIMARY KEY,
    repository TEXT NOT NULL,
    name TEXT NOT NULL,
    digest TEXT,
    at BIGINT NOT NULL,
    author TEXT NOT NULL,
    provenance TEXT
);
CREATE INDEX tag_changes_by_tag ON tag_changes (repository, name, revision);

CREATE TABLE remotes (
    id TEXT PRIMARY KEY,
    owner TEXT,
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    url TEXT NOT NULL,
    username TEXT NOT NULL,
    secret BLOB,
    ca_pem TEXT,
    skip_tls_verify BOOLEAN NOT NULL,
    proxy TEXT,
    realm TEXT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    last_contact BIGINT,
    last_error TEXT
);
CREATE INDEX remotes_by_owner ON remotes (owner);

-- Promotion policies, push mirrors and pull mirrors: what all of them have, and in `body` (JSON)
-- what only one kind has.
CREATE TABLE policies (
    id TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    repository TEXT NOT NULL REFERENCES repositories (id),
    target TEXT REFERENCES repositories (id),
    remote TEXT REFERENCES remotes (id),
    remote_repository TEXT,
    rules TEXT,
    template TEXT,
    patterns TEXT,
    interval_seconds BIGINT,
    overwrite BOOLEAN NOT NULL,
    referrers BOOLEAN NOT NULL,
    baseline TEXT,
    enabled BOOLEAN NOT NULL,
    version BIGINT NOT NULL,
    paused TEXT,
    author TEXT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    next_run_at BIGINT,
    last_moved_at BIGINT,
    last_run_code TEXT NOT NULL,
    last_run_detail TEXT NOT NULL,
    last_run_at BIGINT,
    last_run_job TEXT
);
CREATE INDEX policies_by_repository ON policies (repository, kind);
CREATE INDEX policies_by_target ON policies (target) WHERE target IS NOT NULL;
CREATE INDEX policies_by_remote ON policies (remote) WHERE remote IS NOT NULL;
CREATE INDEX policies_by_next_run ON policies (next_run_at) WHERE kind = 'pull_mirror';
CREATE TABLE baselines (
    policy TEXT NOT NULL REFERENCES policies (id) ON DELETE CASCADE,
    tag TEXT NOT NULL,
    digest TEXT NOT NULL,
    PRIMARY KEY (policy, tag)
);

CREATE TABLE verdicts (
    policy TEXT NOT NULL,
    version BIGINT NOT NULL,
    repository TEXT NOT NULL,
    tag TEXT NOT NULL,
    revision BIGINT NOT NULL,
    kind TEXT NOT NULL,
    digest TEXT NOT NULL,
    verdict TEXT NOT NULL,
    target_tag TEXT,
    result TEXT NOT NULL,
    consequence TEXT NOT NULL,
    job TEXT,
    at BIGINT NOT NULL,
    PRIMARY KEY (policy, version, repository, tag, revision)
);
CREATE INDEX verdicts_by_tag ON verdicts (repository, tag, revision);

CREATE TABLE deliveries (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    policy TEXT,
    kind TEXT NOT NULL,
    source_repository TEXT NOT NULL,
    source_tag TEXT,
    source_revision BIGINT NOT NULL,
    digest TEXT NOT NULL,
    target_repository TEXT,
    remote TEXT,
    remote_host TEXT,
    remote_repository TEXT,
    target_tag TEXT,
    at BIGINT NOT NULL,
    job TEXT
);
CREATE INDEX deliveries_by_digest ON deliveries (source_repository, digest);
CREATE INDEX deliveries_by_source ON deliveries (source_repository, source_tag);
CREATE INDEX deliveries_by_local_target ON deliveries (target_repository, target_tag);
CREATE INDEX deliveries_by_remote_target ON deliveries (remote_host, remote_repository, target_tag);
CREATE INDEX deliveries_by_policy ON deliveries (policy, digest, at);

CREATE TABLE jobs (
    id TEXT PRIMARY KEY,
    action TEXT NOT NULL,
    status TEXT NOT NULL,
    cause TEXT NOT NULL,
    parameters TEXT NOT NULL,
    policy TEXT,
    repository TEXT,
    parent TEXT,
    retry_of TEXT,
    serial_key TEXT,
    attempt BIGINT NOT NULL,
    retries_left BIGINT NOT NULL,
    tags_done BIGINT NOT NULL,
    tags_total BIGINT NOT NULL,
    bytes_done BIGINT NOT NULL,
    bytes_total BIGINT NOT NULL,
    error TEXT,
    outcome TEXT,
    created_at BIGINT NOT NULL,
    scheduled_at BIGINT NOT NULL,
    started_at BIGINT,
    finished_at BIGINT,
    updated_at BIGINT NOT NULL,
    worker TEXT,
    boot TEXT,
    epoch BIGINT NOT NULL,
    lease_until BIGINT,
    cancel_requested BOOLEAN NOT NULL
);
CREATE INDEX jobs_waiting ON jobs (action, scheduled_at, id) WHERE status = 'waiting';
-- Two jobs with one key never run at once, whatever a claim believes.
CREATE UNIQUE INDEX jobs_running ON jobs (serial_key) WHERE status = 'running';
CREATE INDEX jobs_by_lease ON jobs (lease_until) WHERE status = 'running';
CREATE INDEX jobs_without_evaluations ON jobs (id) WHERE action <> 'evaluate';
CREATE INDEX jobs_by_serial_key ON jobs (serial_key) WHERE status = 'waiting' AND serial_key IS NOT NULL;
CREATE INDEX jobs_by_repository ON jobs (repository, id);
CREATE INDEX jobs_by_action ON jobs (action, id);
CREATE INDEX jobs_by_status ON jobs (status, id);
CREATE INDEX jobs_by_policy ON jobs (policy, id) WHERE policy IS NOT NULL;
CREATE INDEX jobs_by_parent ON jobs (parent) WHERE parent IS NOT NULL;
CREATE TABLE job_logs (
    job TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    line BIGINT NOT NULL,
    at BIGINT NOT NULL,
    level TEXT NOT NULL,
    message TEXT NOT NULL,
    PRIMARY KEY (job, line)
);

CREATE TABLE activity (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at BIGINT NOT NULL,
    author TEXT NOT NULL,
    kind TEXT NOT NULL,
    repository TEXT,
    tag TEXT,
    digest TEXT,
    policy TEXT,
    job TEXT,
    detail TEXT NOT NULL
);
CREATE INDEX activity_by_repository ON activity (repository, id);
