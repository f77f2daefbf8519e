-- Since when a blob is known not to be what its digest says: nobody is given it until it comes again.
ALTER TABLE blobs ADD COLUMN damaged_at BIGINT;
