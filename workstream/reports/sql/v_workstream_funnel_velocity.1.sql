SELECT v.org_id, v.item_type, v.stage, v.month, v.entered, v.finished, v.measured, v.advanced, v.dropped,
       round((v.seconds[1] / 3600)::numeric, 2) AS median_hours,
       round((v.seconds[2] / 3600)::numeric, 2) AS p90_hours,
       round(100.0 * v.advanced / v.entered, 1) AS conversion_percent,
       round(100.0 * v.dropped / v.entered, 1) AS drop_off_percent
  FROM workstream_velocity('-infinity', 'infinity') v
