-- What memory holds of each organisation, what waits in it, and for how long. `embedded` are active atoms for everyone
-- whose text as it is has a vector; `due` are atoms whose time has come and that nothing keeps.
SELECT o.id AS org_id,
       a.active, a.superseded, a.archived, a.redacted, a.pinned,
       a.decisions, a.risks, a.preferences, a.notes, a.statuses,
       a.last_written_at,
       a.due,
       CASE WHEN a.oldest_due_at IS NOT NULL
            THEN round(greatest(0, extract(epoch FROM statement_timestamp() - a.oldest_due_at)), 1)
             END AS oldest_due_seconds,
       k.conflicts, h.holds,
       c.cards, m.marks, m.marks_due,
       CASE WHEN m.oldest_mark_at IS NOT NULL
            THEN round(greatest(0, extract(epoch FROM statement_timestamp() - m.oldest_mark_at)), 1)
             END AS oldest_mark_seconds,
       j.jobs_waiting, j.jobs_failed,
       CASE WHEN j.oldest_job_at IS NOT NULL
            THEN round(greatest(0, extract(epoch FROM statement_timestamp() - j.oldest_job_at)), 1)
             END AS oldest_job_seconds,
       v.embedded, a.open_to_all,
       l.epoch, l.refreshed_at AS terms_refreshed_at,
       r.redactions, r.unerased, r.oldest_unerased_at
  FROM tenancy_organization o
 CROSS JOIN LATERAL (
     SELECT count(*) FILTER (WHERE t.state = 'active') AS active,
            count(*) FILTER (WHERE t.state = 'superseded') AS superseded,
            count(*) FILTER (WHERE t.state = 'archived') AS archived,
            count(*) FILTER (WHERE t.state = 'redacted') AS redacted,
            count(*) FILTER (WHERE t.state = 'active' AND t.is_pinned) AS pinned,
            count(*) FILTER (WHERE t.state = 'active' AND t.kind = 'decision') AS decisions,
            count(*) FILTER (WHERE t.state = 'active' AND t.kind = 'risk') AS risks,
            count(*) FILTER (WHERE t.state = 'active' AND t.kind = 'preference') AS preferences,
            count(*) FILTER (WHERE t.state = 'active' AND t.kind = 'note') AS notes,
            count(*) FILTER (WHERE t.state = 'active' AND t.kind = 'status') AS statuses,
            count(*) FILTER (WHERE t.state = 'active' AND t.audience = 'everyone') AS open_to_all,
            max(t.created_at) AS last_written_at,
            count(*) FILTER (WHERE t.is_due) AS due,
            min(t.expires_at) FILTER (WHERE t.is_due) AS oldest_due_at
       FROM (SELECT b.*, b.state = 'active' AND NOT b.is_pinned AND b.expires_at <= statement_timestamp()
                         AND NOT EXISTS (
                             SELECT FROM memory_legalhold g
                               JOIN memory_atomlink n ON n.org_id = g.org_id AND n.atom_id = b.id
                                AND (n.client_id = g.client_id OR n.contact_id = g.contact_id
                                     OR n.signal_id = g.signal_id OR n.candidate_id = g.candidate_id
                                     OR n.pursuit_id = g.pursuit_id OR n.proposal_id = g.proposal_id
                                     OR n.engagement_id = g.engagement_id OR n.thread_id = g.thread_id)
                              WHERE g.org_id = b.org_id AND g.released_at IS NULL) AS is_due
               FROM memory_atom b WHERE b.org_id = o.id) t
 ) AS a
 CROSS JOIN LATERAL (
     SELECT count(*) AS conflicts
       FROM memory_atomconflict x
       JOIN memory_atom p ON p.org_id = x.org_id AND p.id = x.older_id AND p.state = 'active'
       JOIN memory_atom q ON q.org_id = x.org_id AND q.id = x.newer_id AND q.state = 'active'
      WHERE x.org_id = o.id AND x.status = 'open'
 ) AS k
 CROSS JOIN LATERAL (
     SELECT count(*) AS holds FROM memory_legalhold y WHERE y.org_id = o.id AND y.released_at IS NULL
 ) AS h
 CROSS JOIN LATERAL (SELECT count(*) AS cards FROM memory_memorycard z WHERE z.org_id = o.id) AS c
 CROSS JOIN LATERAL (
     SELECT count(*) AS marks, count(*) FILTER (WHERE w.due_at <= statement_timestamp()) AS marks_due,
            min(w.first_marked_at) AS oldest_mark_at
       FROM memory_cardmark w WHERE w.org_id = o.id
 ) AS m
 CROSS JOIN LATERAL (
     SELECT count(*) FILTER (WHERE e.status = 'waiting') AS jobs_waiting,
            count(*) FILTER (WHERE e.status = 'failed') AS jobs_failed,
            min(e.due_at) FILTER (WHERE e.status = 'waiting') AS oldest_job_at
       FROM memory_extractionjob e WHERE e.org_id = o.id
 ) AS j
 CROSS JOIN LATERAL (
     SELECT count(DISTINCT u.atom_id) AS embedded
       FROM memory_atomvector u
       JOIN memory_atom s ON s.org_id = u.org_id AND s.id = u.atom_id AND s.state = 'active'
                         AND s.audience = 'everyone' AND s.content_hash = u.content_hash
      WHERE u.org_id = o.id
 ) AS v
 CROSS JOIN LATERAL (
     SELECT count(*) AS redactions, count(*) FILTER (WHERE d.erased_at IS NULL) AS unerased,
            min(d.redacted_at) FILTER (WHERE d.erased_at IS NULL) AS oldest_unerased_at
       FROM memory_redaction d WHERE d.org_id = o.id
 ) AS r
  LEFT JOIN memory_memoryledger l ON l.org_id = o.id
