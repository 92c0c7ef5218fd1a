-- What signals and candidates score against each profile, as computed; `outdated` are scores of an earlier version,
-- `overridden` are items with a score that a person set and that stands.
SELECT p.org_id,
       p.id AS spotlight_id,
       p.name AS spotlight_name,
       p.active,
       p.version,
       kind.item_type,
       coalesce(f.items, 0) AS items,
       coalesce(f.high_match, 0) AS high_match,
       coalesce(f.medium_match, 0) AS medium_match,
       coalesce(f.low_match, 0) AS low_match,
       coalesce(f.no_match, 0) AS no_match,
       round(100.0 * (f.high_match + f.medium_match) / f.items, 1) AS match_rate_percent,
       round(f.mean_score, 4) AS mean_score,
       round(f.mean_coverage, 4) AS mean_coverage,
       coalesce(f.outdated, 0) AS outdated,
       coalesce(o.overridden, 0) AS overridden,
       f.last_evaluated_at
  FROM spotlight_spotlight p
 CROSS JOIN (VALUES ('signal'), ('candidate')) AS kind (item_type)
  LEFT JOIN (
       SELECT s.org_id, s.spotlight_id,
              CASE WHEN s.signal_id IS NULL THEN 'candidate' ELSE 'signal' END AS item_type,
              count(*) AS items,
              count(*) FILTER (WHERE s.recommendation = 'high_match') AS high_match,
              count(*) FILTER (WHERE s.recommendation = 'medium_match') AS medium_match,
              count(*) FILTER (WHERE s.recommendation = 'low_match') AS low_match,
              count(*) FILTER (WHERE s.recommendation = 'no_match') AS no_match,
              avg(s.match_score) AS mean_score,
              avg(s.coverage) AS mean_coverage,
              count(*) FILTER (WHERE s.spotlight_version < q.version) AS outdated,
              max(s.evaluated_at) AS last_evaluated_at
         FROM spotlight_spotlightscore s
         JOIN spotlight_spotlight q ON q.org_id = s.org_id AND q.id = s.spotlight_id
        GROUP BY 1, 2, 3
       ) f ON f.org_id = p.org_id AND f.spotlight_id = p.id AND f.item_type = kind.item_type
  LEFT JOIN (
       SELECT v.org_id, v.spotlight_id,
              CASE WHEN v.signal_id IS NULL THEN 'candidate' ELSE 'signal' END AS item_type,
              count(*) AS overridden
         FROM spotlight_scoreoverride v
        WHERE v.ended_at IS NULL
        GROUP BY 1, 2, 3
       ) o ON o.org_id = p.org_id AND o.spotlight_id = p.id AND o.item_type = kind.item_type
