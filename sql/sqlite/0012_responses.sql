-- Stored responses are in a file of their own (Sources/Storage/SQLiteResponses.swift), beside the ledger. There is nothing to do here.
SELECT 1;
