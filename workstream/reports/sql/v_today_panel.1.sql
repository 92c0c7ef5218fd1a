SELECT t.org_id,
       t.id AS today_item_id,
       CASE WHEN t.candidate_id IS NULL THEN 'pursuit' ELSE 'candidate' END AS item_type,
       coalesce(t.candidate_id, t.pursuit_id) AS item_id,
       t.label, t.client_name, t.state, t.last_touch_at, t.due_date, t.sla_metric, t.sla_due_at,
       (ARRAY['red', 'amber', 'green'])[t.badge + 1] AS badge,
       t.owner_id, t.tags, t.value_band, t.icp_band
  FROM workstream_todayitem t
 WHERE t.snoozed_until IS NULL
