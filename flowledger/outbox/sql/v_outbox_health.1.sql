-- What waits and what is dead of each organisation, lane by lane, each by the index that holds nothing else. The seconds
-- say for how long the event that is due longest has been due.
SELECT o.id AS org_id,
       fresh.events + tried.events AS pending,
       tried.retrying, tried.claimed,
       dead.events AS dead_letters,
       round(greatest(0, extract(epoch FROM statement_timestamp() - least(fresh.due_at, tried.due_at))), 3)
           AS oldest_due_seconds
  FROM tenancy_organization o
 CROSS JOIN LATERAL (
     SELECT count(*) AS events,
            (SELECT f.available_at FROM outbox_workevent f
              WHERE f.org_id = o.id AND f.processed_at IS NULL AND f.dead_letter_at IS NULL AND f.claimed_at IS NULL
                AND f.attempts = 0 AND f.crashes = 0 ORDER BY f.id LIMIT 1) AS due_at
       FROM outbox_workevent e
      WHERE e.org_id = o.id AND e.processed_at IS NULL AND e.dead_letter_at IS NULL AND e.claimed_at IS NULL
        AND e.attempts = 0 AND e.crashes = 0
 ) AS fresh
 CROSS JOIN LATERAL (
     SELECT count(*) AS events, min(t.available_at) AS due_at,
            count(*) FILTER (WHERE t.claimed_at IS NULL) AS retrying,
            count(*) FILTER (WHERE t.claimed_at IS NOT NULL) AS claimed
       FROM (SELECT w.claimed_at, w.available_at FROM outbox_workevent w
              WHERE w.org_id = o.id AND w.processed_at IS NULL AND w.dead_letter_at IS NULL AND w.claimed_at IS NULL
                AND w.attempts > 0 AND w.crashes = 0
             UNION ALL
             SELECT h.claimed_at, h.available_at FROM outbox_workevent h
              WHERE h.org_id = o.id AND h.processed_at IS NULL AND h.dead_letter_at IS NULL
                AND (h.claimed_at IS NOT NULL OR h.crashes > 0)) AS t
 ) AS tried
 CROSS JOIN LATERAL (
     SELECT count(*) AS events FROM outbox_workevent d
      WHERE d.org_id = o.id AND d.processed_at IS NULL AND d.dead_letter_at IS NOT NULL AND d.discarded_at IS NULL
 ) AS dead
