-- Stale by the default of 72 hours; the endpoint asks with the organisation's own.
SELECT w.org_id, w.owner_id,
       coalesce(nullif(btrim(concat_ws(' ', u.first_name, u.last_name)), ''), u.username, '') AS owner_name,
       w.items, w.urgent, w.high, w.medium, w.low, w.breaches, w.stale, w.snoozed,
       round((w.mean_seconds / 3600)::numeric, 1) AS mean_hours_since_touch,
       round((extract(epoch FROM statement_timestamp() - w.oldest_touch_at) / 3600)::numeric, 1)
           AS longest_hours_since_touch
  FROM workstream_user_workload(statement_timestamp(), interval '72 hours') w
  LEFT JOIN tenancy_user u ON u.id = w.owner_id
