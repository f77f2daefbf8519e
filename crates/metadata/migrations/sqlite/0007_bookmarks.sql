-- Where the store finds what was saved of an upload, where several servers may have saved it.
ALTER TABLE uploads ADD COLUMN bookmark TEXT;
