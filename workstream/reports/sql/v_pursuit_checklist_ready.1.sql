-- Open pursuits and the reviews before them. The counters of a pursuit count an item that was waived as done.
SELECT p.org_id,
       p.id,
       p.title, p.stage, p.owner_id, p.client_id, p.due_date,
       p.pink_done, p.pink_required, p.pink_done >= p.pink_required AS pink_ready,
       p.red_done, p.red_required, p.red_done >= p.red_required AS red_ready,
       p.compliance_score,
       CASE p.stage WHEN 'qual' THEN 'pink' WHEN 'pink' THEN 'red' WHEN 'red' THEN 'submit' ELSE 'won' END AS next_stage,
       CASE p.stage WHEN 'red' THEN p.red_done >= p.red_required
                    WHEN 'submit' THEN p.pink_done >= p.pink_required AND p.red_done >= p.red_required
                    ELSE p.pink_done >= p.pink_required END AS is_ready
  FROM workstream_pursuit p
 WHERE p.stage IN ('qual', 'pink', 'red', 'submit')
