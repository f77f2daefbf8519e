-- How often the credentials of an account have changed: what was issued before the last time is void.
ALTER TABLE accounts ADD COLUMN credential_epoch BIGINT NOT NULL DEFAULT 0;
