-- Every stage has a row, an empty one too; each is counted in the index of its list.
SELECT o.id AS org_id, 'candidate' AS item_type, s.stage, s.place,
       (SELECT count(*) FROM workstream_candidate c WHERE c.org_id = o.id AND c.status = s.stage) AS items
  FROM tenancy_organization o
 CROSS JOIN (VALUES ('new', 1), ('triaged', 2), ('nurture', 3), ('on_hold', 4), ('promoted', 5), ('archived', 6))
            AS s (stage, place)
UNION ALL
SELECT o.id, 'pursuit', s.stage, s.place,
       (SELECT count(*) FROM workstream_pursuit p WHERE p.org_id = o.id AND p.stage = s.stage)
  FROM tenancy_organization o
 CROSS JOIN (VALUES ('qual', 7), ('pink', 8), ('red', 9), ('submit', 10), ('won', 11), ('lost', 12))
            AS s (stage, place)
