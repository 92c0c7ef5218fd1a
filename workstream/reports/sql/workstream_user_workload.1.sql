-- The panel's rows of each owner, and of nobody; snoozed ones are counted and nothing else.
SELECT t.org_id, t.owner_id::bigint,
       count(*) FILTER (WHERE t.snoozed_until IS NULL),
       count(*) FILTER (WHERE t.snoozed_until IS NULL AND t.tier = 0),
       count(*) FILTER (WHERE t.snoozed_until IS NULL AND t.tier = 1),
       count(*) FILTER (WHERE t.snoozed_until IS NULL AND t.tier = 2),
       count(*) FILTER (WHERE t.snoozed_until IS NULL AND t.tier = 3),
       count(*) FILTER (WHERE t.snoozed_until IS NULL AND t.badge = 0),
       count(*) FILTER (WHERE t.snoozed_until IS NULL AND t.last_touch_at <= at - stale_after),
       count(*) FILTER (WHERE t.snoozed_until IS NOT NULL),
       avg(extract(epoch FROM at - t.last_touch_at)::float8) FILTER (WHERE t.snoozed_until IS NULL),
       min(t.last_touch_at) FILTER (WHERE t.snoozed_until IS NULL)
  FROM workstream_todayitem t
 GROUP BY t.org_id, t.owner_id
