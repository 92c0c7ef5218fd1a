SELECT c.org_id, c.metric, c.met, c.breached, c.open, c.open_breaches,
       round(100.0 * c.met / nullif(c.met + c.breached, 0), 1) AS compliance_percent
  FROM workstream_sla_compliance('-infinity', 'infinity') c
