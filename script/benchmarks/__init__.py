"""How fast the jobs that matter are: each beside a floor, the least that the same work costs on the same machine.

Machines differ and are noisy, so only ratios count: the project and its floor take turns, and a figure is the median of its rounds.
The floors of HTTP jobs are bare views with one hand-written statement (`floors`), under the same server, data and token; those of
data jobs are plain SQL. Everything lives in ``var/bench``: delete it, and the next run makes its million leads anew.
"""
