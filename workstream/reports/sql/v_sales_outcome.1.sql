-- Closed pursuits, one row each: what an analyst groups by product, owner or period.
SELECT p.org_id,
       p.id,
       p.stage AS outcome,
       p.closed_at,
       (p.closed_at AT TIME ZONE o.timezone)::date AS closed_on,
       c.solution_id,
       s.name AS solution_name,
       p.owner_id,
       coalesce(nullif(btrim(concat_ws(' ', u.first_name, u.last_name)), ''), u.username, '') AS owner_name,
       p.client_id,
       p.forecast_value AS value,
       p.currency,
       extract(epoch FROM p.closed_at - c.promoted_at)::float8 AS seconds_to_close
  FROM workstream_pursuit p
  JOIN tenancy_organization o ON o.id = p.org_id
  LEFT JOIN workstream_candidate c ON c.org_id = p.org_id AND c.id = p.candidate_id AND c.promoted_at IS NOT NULL
  LEFT JOIN workstream_solution s ON s.org_id = c.org_id AND s.id = c.solution_id
  LEFT JOIN tenancy_user u ON u.id = p.owner_id
 WHERE p.closed_at IS NOT NULL
