"""Pipedrive, both ways.

``client`` alone speaks with it, as fast as ``limits`` lets it. ``accounts`` opens the account of a workspace, ``mapping`` says which field is
which. ``creating`` makes things once, ``syncing`` brings one lead into step, ``deals`` are made and mirrored. ``events`` tell what
happened there, ``runs`` work many leads off, and ``status`` tells how it all stands.
"""
