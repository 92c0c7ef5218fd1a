-- What was decided from `since` to before `until`, and what is open now. A clock that ended in time is met at its end; one
-- that did not is breached at its end, or since its breach while it still runs. Cancelled clocks judge nobody.
SELECT o.id, m.metric, c.met, c.breached + b.standing, c.running - b.open_breaches, b.open_breaches
  FROM tenancy_organization o
 CROSS JOIN (VALUES ('triage_sla'), ('proposal_sla'), ('response_sla')) AS m (metric)
 CROSS JOIN LATERAL (
     SELECT count(*) FILTER (WHERE k.outcome = 'met'), count(*) FILTER (WHERE k.outcome = 'breached'),
            (SELECT count(*) FROM workstream_slaclock r
              WHERE r.org_id = o.id AND r.metric = m.metric AND r.rule_id IS NOT NULL AND r.stopped_at IS NULL)
       FROM workstream_slaclock k
      WHERE k.org_id = o.id AND k.metric = m.metric AND k.rule_id IS NOT NULL
        AND k.stopped_at >= since AND k.stopped_at < until
 ) AS c (met, breached, running)
 CROSS JOIN LATERAL (
     SELECT count(*) FILTER (WHERE e.breached_at >= since AND e.breached_at < until), count(*)
       FROM workstream_slabreach e
      WHERE e.org_id = o.id AND e.metric = m.metric AND e.resolved_at IS NULL
 ) AS b (standing, open_breaches)
