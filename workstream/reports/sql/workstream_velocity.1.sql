-- Stays entered from `since` to before `until`, by stage and month in the organisation's time zone, month after month
-- through the index. Stays whose times an import guessed count as entered and are left out of the hours. A stay advanced
-- when it was left for the next stage on the way, dropped when it was left for an end without success; what went elsewhere
-- (nurture, hold, back) did neither.
SELECT o.id,
       CASE WHEN s.state IN ('qual', 'pink', 'red', 'submit', 'won', 'lost') THEN 'pursuit' ELSE 'candidate' END,
       s.state, m.start::date, s.entered, s.finished, s.measured, s.advanced, s.dropped, s.seconds
  FROM tenancy_organization o
 CROSS JOIN LATERAL (
     SELECT min(b.entered_at), max(b.entered_at) FROM workstream_stagehistory b
      WHERE b.org_id = o.id AND b.entered_at >= since AND b.entered_at < until
 ) AS bounds (first, last)
 CROSS JOIN LATERAL generate_series(
     date_trunc('month', bounds.first AT TIME ZONE o.timezone), bounds.last AT TIME ZONE o.timezone, interval '1 month'
 ) AS m (start)
 CROSS JOIN LATERAL (
     SELECT h.state COLLATE "C",
            count(*),
            count(h.left_at),
            count(h.left_at) FILTER (WHERE NOT h.is_inferred),
            count(*) FILTER (WHERE h.left_for IN ('promoted', 'won') OR (h.state, h.left_for) IN (
                ('new', 'triaged'), ('nurture', 'triaged'), ('on_hold', 'triaged'),
                ('qual', 'pink'), ('pink', 'red'), ('red', 'submit'))),
            count(*) FILTER (WHERE h.left_for IN ('archived', 'lost')),
            percentile_cont(ARRAY[0.5, 0.9]) WITHIN GROUP (ORDER BY extract(epoch FROM h.left_at - h.entered_at)::float8)
                FILTER (WHERE h.left_at IS NOT NULL AND NOT h.is_inferred)
       FROM workstream_stagehistory h
      WHERE h.org_id = o.id
        AND h.entered_at >= greatest(since, m.start AT TIME ZONE o.timezone)
        AND h.entered_at < least(until, (m.start + interval '1 month') AT TIME ZONE o.timezone)
      GROUP BY 1
 ) AS s (state, entered, finished, measured, advanced, dropped, seconds)
