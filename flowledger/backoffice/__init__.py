"""The back office: admin site, organisation of a request, and the bases that every app's admin pages stand on."""
