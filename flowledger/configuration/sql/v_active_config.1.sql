-- What organisations have set in place of the defaults and what of it holds now; the defaults themselves are code.
SELECT
    config.org_id,
    config.rule_type,
    config.key,
    config.version,
    config.value,
    config.effective_from,
    config.effective_to,
    config.reason,
    config.changed_by_label AS changed_by,
    config.changed_at
FROM public.configuration_configvalue config
WHERE config.value IS NOT NULL
    AND config.effective_from <= statement_timestamp()
    AND (config.effective_to IS NULL OR config.effective_to > statement_timestamp())
