-- Which server writes to an upload, where several share the bytes, and until when it may.
ALTER TABLE uploads ADD COLUMN claimed_by TEXT;
ALTER TABLE uploads ADD COLUMN claimed_until BIGINT;
