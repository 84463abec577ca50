-- Grain: one row per (calendar, session).
-- Trading sessions of an exchange calendar (XNYS, ...), past and planned; crypto has none.
CREATE TABLE IF NOT EXISTS `tradehits.sessions` (
  calendar STRING NOT NULL,
  session DATE NOT NULL,
  open_at TIMESTAMP NOT NULL,
  close_at TIMESTAMP NOT NULL,
  is_half_day BOOL NOT NULL,
  PRIMARY KEY (calendar, session) NOT ENFORCED
)
CLUSTER BY calendar
