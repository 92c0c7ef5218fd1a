-- Signals by what the resolution of their sender came to; without a status nobody was looked for.
SELECT s.org_id,
       coalesce(s.identity_resolution ->> 'status', '') AS status,
       count(*) AS signals,
       count(s.contact_id) AS with_contact,
       count(s.client_id) AS with_client
  FROM workstream_signal s
 GROUP BY s.org_id, 2
