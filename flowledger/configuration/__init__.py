"""The typed registry of every business rule: declared in code, set per organisation, effective-dated, audited, hot."""
