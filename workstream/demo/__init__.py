"""The demonstration: an invented company with data in every state, and the main job played on a file of signals.

`stories` invents what happened from a fixed seed, `seeding` plays it through the services, `organization` founds the
company and its people, `furnishing` lets the apps above add what is theirs, and `playing` takes one lead from signal to
engagement while somebody watches.
"""
