-- Grain: one row per (table_name). When the platform last changed a table, written in the same transaction.
CREATE TABLE IF NOT EXISTS `tradehits.table_writes` (
  table_name STRING NOT NULL OPTIONS (description = 'dataset.table, as in the contract'),
  last_modified_at TIMESTAMP NOT NULL OPTIONS (description = 'When the transaction that changed the table began'),
  write_count INT64 NOT NULL OPTIONS (description = 'Transactions that changed the table so far'),
  PRIMARY KEY (table_name) NOT ENFORCED
)
CLUSTER BY table_name
