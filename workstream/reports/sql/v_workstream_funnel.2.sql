-- Every stage has a row, an empty one too; the tally moves in the transaction of every change, so its sum is the count.
SELECT o.id AS org_id, s.item_type, s.stage, s.place,
       (SELECT coalesce(sum(t.count), 0)::bigint FROM workstream_itemtally t
         WHERE t.org_id = o.id AND t.item_type = s.item_type AND t.state = s.stage) AS items
  FROM tenancy_organization o
 CROSS JOIN (VALUES
           ('candidate', 'new', 1), ('candidate', 'triaged', 2), ('candidate', 'nurture', 3),
           ('candidate', 'on_hold', 4), ('candidate', 'promoted', 5), ('candidate', 'archived', 6),
           ('pursuit', 'qual', 7), ('pursuit', 'pink', 8), ('pursuit', 'red', 9),
           ('pursuit', 'submit', 10), ('pursuit', 'won', 11), ('pursuit', 'lost', 12))
       AS s (item_type, stage, place)
