"""Words, inverted index and search function of signals, candidates and pursuits."""

from django.db import migrations

from flowledger.tenancy.search import make_searchable


class Migration(migrations.Migration):
    dependencies = [("workstream", "0001_initial"), ("clients", "0002_search")]

    operations = [
        *make_searchable(
            table="workstream_signal",
            columns=[
                "snippet",
                "problem_phrase",
                "solution_hint",
                "contact_name",
                "contact_email",
                "company_name",
                "company_domain",
                "source_ref",
            ],
            function="signal_search",
            index="signal_words",
        ),
        *make_searchable(
            table="workstream_candidate",
            columns=["title", "one_liner_scope", "next_step"],
            function="candidate_search",
            index="candidate_words",
        ),
        *make_searchable(
            table="workstream_pursuit",
            columns=["title", "outcome_reason"],
            function="pursuit_search",
            index="pursuit_words",
        ),
    ]
